#define _GNU_SOURCE
#include "shim.h"

#include <stdio.h>
#include <string.h>
#include <rte_ether.h>

int shim_errno(void)
{
	return rte_errno;
}

void shim_clear_errno(void)
{
	rte_errno = 0;
}

static ssize_t log_write(void *cookie, const char *text, size_t length)
{
	void (*write)(const char *, size_t) = cookie;

	write(text, length);
	return length;
}

int shim_log_to(void (*write)(const char *text, size_t length))
{
	FILE *stream = fopencookie(write, "w", (cookie_io_functions_t){ .write = log_write });

	return stream == NULL ? -1 : rte_openlog_stream(stream);
}

uint16_t shim_rx_burst(uint16_t port, struct rte_mbuf **frames, uint16_t count)
{
	return rte_eth_rx_burst(port, 0, frames, count);
}

uint16_t shim_tx_burst(uint16_t port, struct rte_mbuf **frames, uint16_t count)
{
	return rte_eth_tx_burst(port, 0, frames, count);
}

int shim_rx_waiting(uint16_t port)
{
	return rte_eth_rx_queue_count(port, 0);
}

int shim_link(uint16_t port, bool *up, uint32_t *speed_mbps)
{
	struct rte_eth_link link;
	int result = rte_eth_link_get_nowait(port, &link);

	if (result == 0) {
		*up = link.link_status == RTE_ETH_LINK_UP;
		*speed_mbps = link.link_speed;
	}
	return result;
}

struct rte_mbuf *shim_mbuf_alloc(struct rte_mempool *pool)
{
	return rte_pktmbuf_alloc(pool);
}

void shim_mbuf_free(struct rte_mbuf *mbuf)
{
	rte_pktmbuf_free(mbuf);
}

void shim_mbuf_look(const struct rte_mbuf *mbuf, struct shim_frame *frame)
{
	frame->data = rte_pktmbuf_mtod(mbuf, uint8_t *);
	frame->length = rte_pktmbuf_pkt_len(mbuf);
	frame->segments = mbuf->nb_segs;
	frame->vlan_stripped = (mbuf->ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED) != 0;
}

void shim_mbuf_place(struct rte_mbuf *mbuf, uint16_t offset, uint16_t length)
{
	mbuf->data_off = offset;
	mbuf->data_len = length;
	mbuf->pkt_len = length;
}

void shim_mbuf_checksum(struct rte_mbuf *mbuf, uint16_t link_header, uint16_t network_header, bool ipv6, bool tcp)
{
	mbuf->l2_len = link_header;
	mbuf->l3_len = network_header;
	mbuf->ol_flags |= ipv6 ? RTE_MBUF_F_TX_IPV6 : RTE_MBUF_F_TX_IPV4;
	mbuf->ol_flags |= tcp ? RTE_MBUF_F_TX_TCP_CKSUM : RTE_MBUF_F_TX_UDP_CKSUM;
}

void shim_mbuf_no_checksum(struct rte_mbuf *mbuf)
{
	mbuf->ol_flags &= ~(RTE_MBUF_F_TX_IPV6 | RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_L4_MASK);
}

void shim_mbuf_launch_at(struct rte_mbuf *mbuf, int field_offset, uint64_t flag, uint64_t time)
{
	*RTE_MBUF_DYNFIELD(mbuf, field_offset, rte_mbuf_timestamp_t *) = time;
	mbuf->ol_flags |= flag;
}

void shim_mbuf_strip(struct rte_mbuf *mbuf, uint16_t bytes)
{
	rte_pktmbuf_adj(mbuf, bytes);
}

uint16_t shim_mbuf_headroom(const struct rte_mbuf *mbuf)
{
	return rte_pktmbuf_headroom(mbuf);
}

void shim_mbuf_prepend(struct rte_mbuf *mbuf, uint16_t bytes)
{
	rte_pktmbuf_prepend(mbuf, bytes);
}

void shim_mbuf_pad(struct rte_mbuf *mbuf, uint16_t length)
{
	char *tail;
	uint16_t missing;

	if (mbuf->pkt_len >= length)
		return;
	missing = length - mbuf->pkt_len;
	tail = rte_pktmbuf_append(mbuf, missing);
	if (tail != NULL)
		memset(tail, 0, missing);
}

int shim_mbuf_unstrip(struct rte_mbuf **mbuf)
{
	/* rte_vlan_insert() takes the tag from vlan_tci, and clears the flag. */
	return rte_vlan_insert(mbuf);
}

struct rte_mempool *shim_mbuf_pool(const struct rte_mbuf *mbuf)
{
	return mbuf->pool;
}

void shim_pool_layout(struct rte_mempool *pool, struct shim_layout *layout)
{
	layout->header = pool->header_size;
	layout->object = pool->elt_size;
	layout->trailer = pool->trailer_size;
	layout->buffer_offset = sizeof(struct rte_mbuf) + rte_pktmbuf_priv_size(pool);
	layout->buffer = rte_pktmbuf_data_room_size(pool);
}

struct pool_range {
	uintptr_t start;
	uintptr_t end;
	size_t used;
};

static void widen(struct rte_mempool *pool, void *range, struct rte_mempool_memhdr *chunk, unsigned int index)
{
	struct pool_range *all = range;
	uintptr_t start = (uintptr_t)chunk->addr;

	(void)pool;
	(void)index;
	if (start < all->start)
		all->start = start;
	if (start + chunk->len > all->end)
		all->end = start + chunk->len;
	all->used += chunk->len;
}

void shim_pool_range(struct rte_mempool *pool, uintptr_t *start, uintptr_t *end, size_t *used)
{
	struct pool_range all = { .start = UINTPTR_MAX };

	rte_mempool_mem_iter(pool, widen, &all);
	*start = all.start;
	*end = all.end;
	*used = all.used;
}
