// SPDX-License-Identifier: MIT
#pragma once

// Verbs as a device: a registration backend on a protection domain, and a queue pair that is connected to itself.

#include <infiniband/verbs.h>

#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>

#include "pinref/gup/gup_result.hpp"
#include "support/registration_error.hpp"

namespace guest {

template <auto Close>
struct closing {
  template <class T>
  void operator()(T* each) const noexcept {
    (void)Close(each);
  }
};
template <class T, auto Close>
using owned = std::unique_ptr<T, closing<Close>>;

template <class T>
T* must(T* made, const char* call) {
  if (made == nullptr) throw std::runtime_error(std::string{call} + ": errno " + std::to_string(errno));
  return made;
}
inline void must_be_0(int code, const char* call) {
  if (code != 0) throw std::runtime_error(std::string{call} + ": errno " + std::to_string(code));
}

/// The first card there is. The backend's access bits are those of ibv_reg_mr.
class card {
 public:
  using handle = ibv_mr*;
  static constexpr std::size_t granule = 4096;

  card() {
    int n = 0;
    ibv_device** const all = must(::ibv_get_device_list(&n), "ibv_get_device_list");
    if (n != 0) context_.reset(::ibv_open_device(all[0]));
    ::ibv_free_device_list(all);
    (void)must(context_.get(), "there is no card");
    domain_.reset(must(::ibv_alloc_pd(context_.get()), "ibv_alloc_pd"));
  }

  pinref::gup_error register_memory(std::uintptr_t first, std::size_t length, unsigned access, ibv_mr*& made) noexcept {
    // Not the macro of that name, which clang++ warns of.
    made = (::ibv_reg_mr)(domain_.get(), reinterpret_cast<void*>(first), length, static_cast<int>(access));
    if (made != nullptr) return pinref::gup_error::none;
    last_errno = errno;
    return support::registration_error(errno);
  }
  bool deregister(ibv_mr*& made) noexcept { return ::ibv_dereg_mr(made) == 0; }

  [[nodiscard]] ibv_context* context() const { return context_.get(); }
  [[nodiscard]] ibv_pd* domain() const { return domain_.get(); }

  int last_errno = 0;

 private:
  owned<ibv_context, ::ibv_close_device> context_;
  owned<ibv_pd, ::ibv_dealloc_pd> domain_;
};

/// Writes from memory to memory of the same card.
class loop {
 public:
  explicit loop(const card& on) {
    queue_.reset(must(::ibv_create_cq(on.context(), 16, nullptr, nullptr, 0), "ibv_create_cq"));
    ibv_qp_init_attr how{};
    how.send_cq = how.recv_cq = queue_.get();
    how.qp_type = IBV_QPT_RC;
    how.cap = {4, 4, 1, 1, 0};
    pair_.reset(must(::ibv_create_qp(on.domain(), &how), "ibv_create_qp"));

    ibv_gid self{};
    must_be_0(::ibv_query_gid(on.context(), 1, 0, &self), "ibv_query_gid");
    ibv_qp_attr to{};
    to.qp_state = IBV_QPS_INIT;
    to.port_num = 1;
    to.qp_access_flags = IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_READ;
    change(to, IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_ACCESS_FLAGS);
    to = {};
    to.qp_state = IBV_QPS_RTR;
    to.path_mtu = IBV_MTU_1024;
    to.dest_qp_num = pair_->qp_num;
    to.max_dest_rd_atomic = 1;
    to.min_rnr_timer = 12;
    to.ah_attr.is_global = 1;
    to.ah_attr.port_num = 1;
    to.ah_attr.grh.dgid = self;
    to.ah_attr.grh.hop_limit = 1;
    change(to, IBV_QP_STATE | IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN | IBV_QP_RQ_PSN |
                   IBV_QP_MAX_DEST_RD_ATOMIC | IBV_QP_MIN_RNR_TIMER);
    to = {};
    to.qp_state = IBV_QPS_RTS;
    to.timeout = 14;
    to.retry_cnt = 7;
    to.rnr_retry = 7;
    to.max_rd_atomic = 1;
    change(to, IBV_QP_STATE | IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY | IBV_QP_SQ_PSN |
                   IBV_QP_MAX_QP_RD_ATOMIC);
  }

  /// An RDMA write, from one registration to another one; the status of its completion.
  ibv_wc_status write(const ibv_mr& from, const void* source, const ibv_mr& to, void* target, std::size_t length) {
    ibv_sge part{reinterpret_cast<std::uintptr_t>(source), static_cast<std::uint32_t>(length), from.lkey};
    ibv_send_wr work{};
    work.sg_list = &part;
    work.num_sge = 1;
    work.opcode = IBV_WR_RDMA_WRITE;
    work.send_flags = IBV_SEND_SIGNALED;
    work.wr.rdma.remote_addr = reinterpret_cast<std::uintptr_t>(target);
    work.wr.rdma.rkey = to.rkey;
    ibv_send_wr* bad = nullptr;
    must_be_0(::ibv_post_send(pair_.get(), &work, &bad), "ibv_post_send");
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds{20};
    ibv_wc done{};
    for (int n = 0; n == 0;) {
      n = ::ibv_poll_cq(queue_.get(), 1, &done);
      if (n < 0 || std::chrono::steady_clock::now() > end) throw std::runtime_error("ibv_poll_cq");
    }
    return done.status;
  }

 private:
  void change(ibv_qp_attr& to, int what) { must_be_0(::ibv_modify_qp(pair_.get(), &to, what), "ibv_modify_qp"); }

  owned<ibv_cq, ::ibv_destroy_cq> queue_;
  owned<ibv_qp, ::ibv_destroy_qp> pair_;
};

}  // namespace guest
