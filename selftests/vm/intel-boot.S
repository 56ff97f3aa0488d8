/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The first sector of the disk that ./intel boots. The kernel, unpacked as it is
 * to be in memory, and its initramfs fill the rest of the disk: unpacking them
 * there would take longer than all that follows. The kernel is entered as by a
 * hypervisor (PVH): in 32-bit protected mode, with what there is to know of the
 * machine in %ebx.
 *
 * Defined by ./intel: KERNEL (where it goes), ENTRY, INITRAMFS, INITRAMFS_SIZE,
 * MEMORY (bytes), CHUNKS (of 32 KiB on the disk), CMDLINE.
 */
#define BUFFER		0x10000		/* of one chunk, where the BIOS can write */
#define CHUNK_SECTORS	64
#define CODE		8		/* selectors */
#define DATA		16

	.code16
	.globl	start
start:
	cld
	xor	%ax, %ax
	mov	%ax, %ds
	mov	%ax, %ss
	mov	$0x7c00, %sp
	in	$0x92, %al		/* all address lines, A20 too */
	or	$2, %al
	out	%al, $0x92

read_chunk:
	mov	$packet, %si
	mov	$0x42, %ah
	mov	$0x80, %dl
	int	$0x13
	jc	.

	/* Protected mode, but for the code: segments of 4 GiB. */
	cli
	lgdtl	gdt_pointer
	mov	%cr0, %eax
	or	$1, %al
	mov	%eax, %cr0
	mov	$DATA, %bx
	mov	%bx, %ds
	mov	%bx, %es
	mov	$BUFFER, %esi
	mov	target, %edi
	mov	$(CHUNK_SECTORS * 512 / 4), %ecx
	addr32	rep movsl
	mov	%edi, target
	addl	$CHUNK_SECTORS, packet_sector
	decl	chunks
	jz	enter_kernel
	and	$0xfe, %al
	mov	%eax, %cr0
	xor	%ax, %ax
	mov	%ax, %ds
	mov	%ax, %es
	sti
	jmp	read_chunk

enter_kernel:
	mov	%bx, %ss
	ljmpl	$CODE, $1f
	.code32
1:	mov	$start_info, %ebx
	mov	$ENTRY, %eax
	jmp	*%eax

target:
	.long	KERNEL
chunks:
	.long	CHUNKS

packet:				/* for the BIOS to read from a disk */
	.byte	16, 0
	.short	CHUNK_SECTORS
	.short	0, BUFFER >> 4
packet_sector:
	.quad	1

	.balign	8
gdt:
	.quad	0
	.quad	0x00cf9b000000ffff	/* CODE: all 4 GiB */
	.quad	0x00cf93000000ffff	/* DATA: all 4 GiB */
gdt_pointer:
	.short	. - gdt - 1
	.long	gdt

	.balign	8
start_info:			/* struct hvm_start_info */
	.long	0x336ec578		/* magic */
	.long	1			/* version */
	.long	0			/* flags */
	.long	1			/* modules */
	.long	modules, 0
	.long	cmdline, 0
	.quad	0			/* ACPI: where the BIOS put it */
	.long	memory_map, 0
	.long	(memory_map_end - memory_map) / 24
	.long	0

modules:			/* struct hvm_modlist_entry */
	.quad	INITRAMFS, INITRAMFS_SIZE, 0, 0

#define RAM	1
memory_map:			/* struct hvm_memmap_table_entry */
	.quad	0, 0x9f000
	.long	RAM, 0
	.quad	0x100000, MEMORY - 0x100000 - 0x10000	/* less ACPI's tables */
	.long	RAM, 0
memory_map_end:

cmdline:
	.asciz	CMDLINE

	.org	510
	.short	0xaa55
