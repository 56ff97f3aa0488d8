/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Trace events of the core, below events/khx/. A virtqueue is named as netlink
 * does it: number of the device, and index there.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM khx

#if !defined(KHX_CORE_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define KHX_CORE_TRACE_H

#include <linux/tracepoint.h>

#include "core/device.h"

TRACE_EVENT(khx_queue_error,
	TP_PROTO(const struct khx_virtqueue *vq, int err, const char *check),
	TP_ARGS(vq, err, check),
	TP_STRUCT__entry(
		__field(u32, dev)
		__field(u32, queue)
		__field(int, err)
		__string(check, check)
	),
	TP_fast_assign(
		__entry->dev = vq->dev->reg.id;
		__entry->queue = vq->index;
		__entry->err = err;
		khx_assign_str(check, check);
	),
	TP_printk("dev=%u queue=%u err=%d check=\"%s\"", __entry->dev,
		  __entry->queue, __entry->err, __get_str(check))
);

/*
 * An ioctl was refused. The queue is -1 where it names none, the check empty
 * where nobody has named one.
 */
TRACE_EVENT(khx_ioctl_error,
	TP_PROTO(const struct khx_device *dev, unsigned int cmd, int queue,
		 int err, const char *check),
	TP_ARGS(dev, cmd, queue, err, check),
	TP_STRUCT__entry(
		__field(u32, dev)
		__field(u32, cmd)
		__field(int, queue)
		__field(int, err)
		__string(check, check)
	),
	TP_fast_assign(
		__entry->dev = dev->reg.id;
		__entry->cmd = cmd;
		__entry->queue = queue;
		__entry->err = err;
		khx_assign_str(check, check);
	),
	TP_printk("dev=%u cmd=%#x queue=%d err=%d check=\"%s\"", __entry->dev,
		  __entry->cmd, __entry->queue, __entry->err,
		  __get_str(check))
);

/* One publication of completed chains. */
TRACE_EVENT(khx_batch,
	TP_PROTO(const struct khx_virtqueue *vq, unsigned int chains),
	TP_ARGS(vq, chains),
	TP_STRUCT__entry(
		__field(u32, dev)
		__field(u32, queue)
		__field(u32, chains)
		__field(u16, avail)
		__field(u16, used)
	),
	TP_fast_assign(
		__entry->dev = vq->dev->reg.id;
		__entry->queue = vq->index;
		__entry->chains = chains;
		__entry->avail = vq->next_avail;
		__entry->used = vq->next_used;
	),
	TP_printk("dev=%u queue=%u chains=%u avail=%u used=%u", __entry->dev,
		  __entry->queue, __entry->chains, __entry->avail,
		  __entry->used)
);

/* After each batch: did the driver get an interrupt? */
TRACE_EVENT(khx_signal,
	TP_PROTO(const struct khx_virtqueue *vq, bool sent),
	TP_ARGS(vq, sent),
	TP_STRUCT__entry(
		__field(u32, dev)
		__field(u32, queue)
		__field(bool, sent)
	),
	TP_fast_assign(
		__entry->dev = vq->dev->reg.id;
		__entry->queue = vq->index;
		__entry->sent = sent;
	),
	TP_printk("dev=%u queue=%u sent=%d", __entry->dev, __entry->queue,
		  __entry->sent)
);

/* Other workers serve a device from here on; mode as in enum khx_mode. */
TRACE_EVENT(khx_worker_switch,
	TP_PROTO(const struct khx_device *dev, unsigned int workers),
	TP_ARGS(dev, workers),
	TP_STRUCT__entry(
		__field(u32, dev)
		__field(u32, mode)
		__field(u32, workers)
	),
	TP_fast_assign(
		__entry->dev = dev->reg.id;
		__entry->mode = dev->mode;
		__entry->workers = workers;
	),
	TP_printk("dev=%u mode=%u workers=%u", __entry->dev, __entry->mode,
		  __entry->workers)
);

#endif /* KHX_CORE_TRACE_H */

#undef TRACE_INCLUDE_PATH
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_PATH core
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
