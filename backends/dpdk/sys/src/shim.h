/*
 * What DPDK has only as inline functions or macros, as functions; and what its releases call differently, under one
 * name. Nothing here decides anything.
 */
#ifndef SHIM_H
#define SHIM_H

#include <stdbool.h>
#include <stdint.h>

#include <rte_dev.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_lcore.h>
#include <rte_log.h>
#include <rte_mbuf.h>
#include <rte_mbuf_dyn.h>
#include <rte_mempool.h>
#include <rte_version.h>

/* A level of rte_log_cur_msg_loglevel(); worse ones are smaller. */
enum {
	SHIM_LOG_WARNING = RTE_LOG_WARNING,
};

/* The flag of a device whose own events keep its link's state. */
enum {
	SHIM_DEV_LINK_EVENTS = RTE_ETH_DEV_INTR_LSC,
};

/* The offload of a device that holds a frame until its launch time. */
enum {
	SHIM_SEND_ON_TIMESTAMP = RTE_ETH_TX_OFFLOAD_SEND_ON_TIMESTAMP,
};

/* The calling thread's rte_errno: a positive errno value or one of DPDK's own. */
int shim_errno(void);
void shim_clear_errno(void);

/*
 * Has the EAL and its drivers log to `write`, which gets whole messages. To be called before rte_eal_init().
 * -1 with errno set if there is no memory.
 */
int shim_log_to(void (*write)(const char *text, size_t length));

/* Bursts on queue 0; the number of frames moved. */
uint16_t shim_rx_burst(uint16_t port, struct rte_mbuf **frames, uint16_t count);
uint16_t shim_tx_burst(uint16_t port, struct rte_mbuf **frames, uint16_t count);

/* Received frames that wait in queue 0; negative where the driver cannot tell. */
int shim_rx_waiting(uint16_t port);

/* Whether the link is up, and its speed in Mbit/s (UINT32_MAX if unknown); negative errno if the port is gone. */
int shim_link(uint16_t port, bool *up, uint32_t *speed_mbps);

/* A free mbuf of one segment, empty, with the standard headroom; NULL if the pool has none. */
struct rte_mbuf *shim_mbuf_alloc(struct rte_mempool *pool);
void shim_mbuf_free(struct rte_mbuf *mbuf);

/* What a frame's owner reads of it. */
struct shim_frame {
	uint8_t *data;
	/* Of all segments together. */
	uint32_t length;
	uint16_t segments;
	/* The device has taken the outer VLAN tag out of the data. */
	bool vlan_stripped;
};
void shim_mbuf_look(const struct rte_mbuf *mbuf, struct shim_frame *frame);

/* Places the frame in its (only) segment: `offset` bytes after the start of the buffer, `length` bytes long. */
void shim_mbuf_place(struct rte_mbuf *mbuf, uint16_t offset, uint16_t length);

/* Offloads of a transmit queue that shim_mbuf_checksum() asks for. */
enum {
	SHIM_TX_CHECKSUMS = RTE_ETH_TX_OFFLOAD_UDP_CKSUM | RTE_ETH_TX_OFFLOAD_TCP_CKSUM,
};

/* Leaves the transport checksum to the device; its field holds the sum of the pseudo-header. */
void shim_mbuf_checksum(struct rte_mbuf *mbuf, uint16_t link_header, uint16_t network_header, bool ipv6, bool tcp);

/* Leaves nothing to the device. */
void shim_mbuf_no_checksum(struct rte_mbuf *mbuf);

/* Has the device send the frame at a time of its own clock, by the field and flag of rte_mbuf_dyn_tx_timestamp_register(). */
void shim_mbuf_launch_at(struct rte_mbuf *mbuf, int field_offset, uint64_t flag, uint64_t time);

/* Takes bytes off the front; the segment has at least so many. */
void shim_mbuf_strip(struct rte_mbuf *mbuf, uint16_t bytes);

/* Bytes of the buffer before the data. */
uint16_t shim_mbuf_headroom(const struct rte_mbuf *mbuf);

/* Puts bytes on the front; the buffer has at least so many before the data. */
void shim_mbuf_prepend(struct rte_mbuf *mbuf, uint16_t bytes);

/* Adds zeros to the end of a shorter frame, as far as its (only) segment has room. */
void shim_mbuf_pad(struct rte_mbuf *mbuf, uint16_t length);

/* Writes a stripped VLAN tag back into the data; negative errno if there is no room in front. */
int shim_mbuf_unstrip(struct rte_mbuf **mbuf);

struct rte_mempool *shim_mbuf_pool(const struct rte_mbuf *mbuf);

/* How a pool's memory is cut: bytes before each mbuf, of the mbuf with its buffer, and after it. */
struct shim_layout {
	uint32_t header;
	uint32_t object;
	uint32_t trailer;
	/* From the mbuf to the start of its buffer. */
	uint32_t buffer_offset;
	/* Of the buffer, headroom included. */
	uint32_t buffer;
};
void shim_pool_layout(struct rte_mempool *pool, struct shim_layout *layout);

/* The lowest address of a pool's memory, the first beyond it, and the bytes between them that are the pool's. */
void shim_pool_range(struct rte_mempool *pool, uintptr_t *start, uintptr_t *end, size_t *used);

#endif
