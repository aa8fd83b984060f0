// SPDX-License-Identifier: MIT

// A network card that is not there: the calls of libibverbs, librdmacm and libefa that libfabric makes until its verbs
// provider has a domain. A program that defines them is asked first, before the libraries. Nothing can be sent; memory
// is registered by a call that does nothing, as in the other caches that are measured.

#include <errno.h>
#include <infiniband/verbs.h>

#include <cstddef>
#include <cstdint>

#undef ibv_query_port
#undef ibv_reg_mr

namespace {

// Who looks behind a device or a context, as drivers do for their own, finds zeros.
template <class T>
struct with_room {
  T it{};
  char behind[4096]{};
};

struct card {
  with_room<ibv_device> device;
  with_room<ibv_context> context;
  ibv_device* list[2] = {&device.it, nullptr};
  ibv_context* contexts[2] = {&context.it, nullptr};

  card() {
    device.it.node_type = IBV_NODE_CA;
    device.it.transport_type = IBV_TRANSPORT_IB;
    device.it.name[0] = 'p';
    device.it.name[1] = '0';
    context.it.device = &device.it;
    context.it.cmd_fd = context.it.async_fd = -1;
  }
};

card& the_card() {
  static card it;
  return it;
}

int not_there() {
  errno = ENODEV;
  return -1;
}

}  // namespace

extern "C" {

struct rdma_event_channel;
struct rdma_cm_id;
struct efadv_device_attr;

ibv_device** ibv_get_device_list(int* n) {
  if (n != nullptr) *n = 1;
  return the_card().list;
}
void ibv_free_device_list(ibv_device**) {}
const char* ibv_get_device_name(ibv_device* device) {
  return device->name;
}
ibv_context* ibv_open_device(ibv_device*) {
  return &the_card().context.it;
}
int ibv_close_device(ibv_context*) {
  return 0;
}
ibv_context** rdma_get_devices(int* n) {
  if (n != nullptr) *n = 1;
  return the_card().contexts;
}
void rdma_free_devices(ibv_context**) {}
int rdma_create_id(rdma_event_channel*, rdma_cm_id**, void*, int) {
  return not_there();
}

// Is it a card of that kind?
int efadv_query_device(ibv_context*, efadv_device_attr*, std::uint32_t) {
  return EOPNOTSUPP;
}

int ibv_query_device(ibv_context*, ibv_device_attr* what) {
  *what = {};
  what->max_mr_size = UINT64_MAX;
  what->max_mr = 1 << 20;
  what->max_qp = what->max_cq = what->max_qp_wr = what->max_cqe = 1 << 10;
  what->max_srq = what->max_srq_wr = what->max_srq_sge = 0;
  what->max_sge = 16;
  what->phys_port_cnt = 1;
  return 0;
}
int ibv_query_port(ibv_context*, std::uint8_t, _compat_ibv_port_attr* what) {
  // The members before those that came later.
  auto* const port = reinterpret_cast<ibv_port_attr*>(what);
  port->state = IBV_PORT_ACTIVE;
  port->max_mtu = port->active_mtu = IBV_MTU_4096;
  port->max_msg_sz = 1u << 30;
  return 0;
}
int ibv_query_gid(ibv_context*, std::uint8_t, int, union ibv_gid* what) {
  *what = {};
  return 0;
}
int ibv_query_pkey(ibv_context*, std::uint8_t, int, std::uint16_t* what) {
  *what = 0xffff;
  return 0;
}

ibv_pd* ibv_alloc_pd(ibv_context* context) {
  return new ibv_pd{context, 0};
}
int ibv_dealloc_pd(ibv_pd* pd) {
  delete pd;
  return 0;
}
ibv_cq* ibv_create_cq(ibv_context* context, int, void*, ibv_comp_channel*, int) {
  auto* const made = new ibv_cq{};
  made->context = context;
  return made;
}
int ibv_destroy_cq(ibv_cq* cq) {
  delete cq;
  return 0;
}
ibv_qp* ibv_create_qp(ibv_pd* pd, ibv_qp_init_attr*) {
  auto* const made = new ibv_qp{};
  made->context = pd->context;
  return made;
}
int ibv_destroy_qp(ibv_qp* qp) {
  delete qp;
  return 0;
}

ibv_mr* ibv_reg_mr_iova2(ibv_pd* pd, void* start, std::size_t length, std::uint64_t, unsigned) {
  return new ibv_mr{pd->context, pd, start, length, 0, 1, 1};
}
ibv_mr* ibv_reg_mr(ibv_pd* pd, void* start, std::size_t length, int) {
  return ibv_reg_mr_iova2(pd, start, length, 0, 0);
}
int ibv_dereg_mr(ibv_mr* mr) {
  delete mr;
  return 0;
}

}  // extern "C"
