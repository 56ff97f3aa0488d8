/* SPDX-License-Identifier: GPL-2.0 */
/* The routines of guest.h, in the order of enum routine. */

	.section .rodata
	.globl	guest_code, guest_code_end, guest_routines
	.code16
guest_code:

cpuid_loop:
	xor	%eax, %eax
	cpuid
	dec	%esi
	jnz	cpuid_loop
	hlt

outb_loop:
	out	%al, %dx
	dec	%esi
	jnz	outb_loop
	hlt

inl_loop:
	in	%dx, %eax
	dec	%esi
	jnz	inl_loop
	hlt

rdmsr_loop:
	rdmsr
	dec	%esi
	jnz	rdmsr_loop
	hlt

wrmsr_loop:
	xor	%eax, %eax
	xor	%edx, %edx
	wrmsr
	dec	%esi
	jnz	wrmsr_loop
	hlt

hypercall_loop:
	mov	%eax, %edi
1:	mov	%edi, %eax
	cmp	$0, %bp		/* the vendor's instruction */
	jne	2f
	vmmcall
	jmp	3f
2:	vmcall
3:	dec	%esi
	jnz	1b
	hlt

mmio_read_loop:
	mov	%bx, %es
1:	mov	%es:(8), %eax
	dec	%esi
	jnz	1b
	hlt

mmio_write_loop:
	mov	%bx, %es
1:	mov	%eax, %es:(16)
	dec	%esi
	jnz	1b
	hlt

hlt_loop:
	hlt
	dec	%esi
	jnz	hlt_loop
	hlt

read_pages_loop:
	mov	%bx, %es
	mov	%es:(0), %eax
	add	$0x100, %bx
	dec	%esi
	jnz	read_pages_loop
	hlt

write_pages_loop:
	mov	%bx, %es
	mov	%eax, %es:(0)
	add	$0x100, %bx
	dec	%esi
	jnz	write_pages_loop
	hlt

exec_pages_loop:		/* a far return is in each page */
	push	%cs
	push	$(1f - guest_code + 0x1000)
	push	%bx
	push	$0
	lret
1:	add	$0x800, %bx
	dec	%esi
	jnz	exec_pages_loop
	hlt

cr0_loop:
	mov	%cr0, %eax
	xor	%ecx, %eax
	mov	%eax, %cr0
	dec	%esi
	jnz	cr0_loop
	hlt

dr3_loop:
	mov	%dr3, %edi
	xor	%eax, %eax
	cpuid
	mov	%edi, %dr3
	xor	%eax, %eax
	cpuid
	dec	%esi
	jnz	dr3_loop
	hlt

interrupts_loop:
	sti
	hlt
	dec	%esi
	jnz	interrupts_loop
	cli
	hlt

halts_loop:
	sti
	out	%al, $0x80
	hlt
	cli
	dec	%esi
	jnz	halts_loop
	out	%al, $0x80

all_ports_loop:
	mov	%dx, %bx
	xor	%edi, %edi
1:	mov	%di, %dx
	out	%al, %dx
	mov	%bx, %dx
	out	%al, %dx
	inc	%edi
	dec	%esi
	jnz	1b
	hlt

all_msrs_loop:			/* #GP skips the instruction */
	rdmsr
	inc	%ecx
	dec	%esi
	jnz	all_msrs_loop
	hlt

	.code32
walk_loop:
	mov	(%ebx), %eax
	add	$0x400000, %ebx
	dec	%esi
	jnz	walk_loop
	hlt

	.code16
svm_loop:
	vmrun
	hlt

svm_l2_loop:
	mov	%edi, %esi
1:	xor	%eax, %eax
	cpuid
	dec	%esi
	jnz	1b
	out	%al, $0x80
	hlt

	.code32
vmx_loop:			/* %ecx fields and their values at %esi */
	vmxon	(%eax)		/* addresses of regions at %eax and %ebx */
	vmclear	(%ebx)
	vmptrld	(%ebx)
1:	mov	(%esi), %eax
	vmwrite	4(%esi), %eax
	add	$8, %esi
	dec	%ecx
	jnz	1b
	vmlaunch
	hlt

vmx_exit_loop:			/* an exit leaves %rip at what caused it */
	dec	%edi
	jz	1f
	vmresume
1:	hlt

vmx_l2_loop:
	cpuid
	hlt

	.code16
many_reasons:			/* #GP and #UD skip the instruction */
	.irp	n, 0, 1, 2, 3, 4, 5, 6, 7
	mov	%dr\n, %edi
	xor	%eax, %eax
	cpuid			/* KVM wants to see the next access */
	mov	%edi, %dr\n
	xor	%eax, %eax
	cpuid
	.endr
	mov	%cr4, %eax
	mov	%eax, %cr4
	invd
	wbinvd
	rdpmc
	monitor
	mwait
1:	out	%al, $0x81
	dec	%esi
	jnz	1b
	hlt

forever_loop:
	cpuid
	out	%al, $0x80
	jmp	forever_loop

/* Return from an exception, behind the instruction of so many bytes. */
.macro skip bytes
	push	%bp
	mov	%sp, %bp
	addw	$\bytes, 2(%bp)
	pop	%bp
	iret
.endm

	.globl	guest_interrupt, guest_undefined, guest_fault
guest_interrupt:
	iret
guest_undefined:		/* #UD: behind the three-byte instruction */
	skip	3
guest_fault:			/* #GP: behind the two-byte instruction */
	skip	2
guest_code_end:

	.balign	2
guest_routines:
	.short	cpuid_loop - guest_code, outb_loop - guest_code
	.short	inl_loop - guest_code, rdmsr_loop - guest_code
	.short	wrmsr_loop - guest_code, hypercall_loop - guest_code
	.short	mmio_read_loop - guest_code, mmio_write_loop - guest_code
	.short	hlt_loop - guest_code, read_pages_loop - guest_code
	.short	write_pages_loop - guest_code, exec_pages_loop - guest_code
	.short	cr0_loop - guest_code, dr3_loop - guest_code
	.short	interrupts_loop - guest_code, halts_loop - guest_code
	.short	all_ports_loop - guest_code, all_msrs_loop - guest_code
	.short	walk_loop - guest_code, svm_loop - guest_code
	.short	svm_l2_loop - guest_code, vmx_loop - guest_code
	.short	vmx_exit_loop - guest_code, vmx_l2_loop - guest_code
	.short	many_reasons - guest_code, forever_loop - guest_code

	.section .note.GNU-stack, "", @progbits
