// SPDX-License-Identifier: MIT
#pragma once

// libfabric as a device: a registration backend on its domain, and an endpoint that reads and writes another one's
// memory.

#include <rdma/fabric.h>
#include <rdma/fi_cm.h>
#include <rdma/fi_domain.h>
#include <rdma/fi_endpoint.h>
#include <rdma/fi_errno.h>
#include <rdma/fi_rma.h>
#include <string.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "pinref/gup/gup_result.hpp"

namespace examples::fabric {

struct error : std::runtime_error {
  error(const std::string& call, long code) : runtime_error(call + ": " + fi_strerror(static_cast<int>(-code))) {}
};
inline void must(const char* call, long code) {
  if (code != 0) throw error(call, code);
}

struct close_fid {
  template <class Fid>
  void operator()(Fid* each) const noexcept {
    fi_close(&each->fid);
  }
};
template <class Fid>
using owned = std::unique_ptr<Fid, close_fid>;

struct free_info {
  void operator()(fi_info* info) const noexcept { fi_freeinfo(info); }
};
using owned_info = std::unique_ptr<fi_info, free_info>;

/// When an operation is over for its initiator.
enum class completion : unsigned char {
  delivered,  // when the target has the data: what is unpinned earlier may be unmapped under it
  local,      // when the memory that it comes from may be used again
};

/// Throws if there is no such provider here. `node` is this machine's own address, for those that want one.
inline owned_info find(const std::string& provider, const std::string& node, completion when) {
  const owned_info hints{fi_allocinfo()};
  hints->caps = FI_MSG | FI_RMA;
  hints->ep_attr->type = FI_EP_RDM;
  hints->domain_attr->mr_mode = FI_MR_LOCAL | FI_MR_VIRT_ADDR | FI_MR_ALLOCATED | FI_MR_PROV_KEY;
  hints->domain_attr->threading = FI_THREAD_SAFE;
  hints->tx_attr->op_flags = when == completion::delivered ? FI_DELIVERY_COMPLETE : FI_INJECT_COMPLETE;
  hints->fabric_attr->prov_name = ::strdup(provider.c_str());
  fi_info* found = nullptr;
  const bool by_name = provider != "shm";
  const long code = fi_getinfo(FI_VERSION(1, 17), by_name ? node.c_str() : nullptr, nullptr, by_name ? FI_SOURCE : 0,
                               hints.get(), &found);
  if (code != 0) throw error("fi_getinfo of " + provider, code);
  return owned_info{found};
}

// What a transfer needs of a registration.
struct memory_key {
  fid_mr* mr = nullptr;
  std::uint64_t key = 0;
  void* desc = nullptr;
};

/// The backend. Its access bits are libfabric's: FI_WRITE, FI_REMOTE_WRITE.
class domain {
 public:
  using handle = memory_key;
  static constexpr std::size_t granule = 4096;

  explicit domain(const std::string& provider, const std::string& node = "127.0.0.1",
                  completion when = completion::delivered)
      : info_(fabric::find(provider, node, when)) {
    fid_fabric* of = nullptr;
    must("fi_fabric", fi_fabric(info_->fabric_attr, &of, nullptr));
    fabric_.reset(of);
    fid_domain* made = nullptr;
    must("fi_domain", fi_domain(of, info_.get(), &made, nullptr));
    domain_.reset(made);
  }

  pinref::gup_error register_memory(std::uintptr_t first, std::size_t length, unsigned access,
                                    memory_key& made) noexcept {
    // Where keys are the caller's choice.
    static std::atomic<std::uint64_t> next_key{1};
    const std::uint64_t wanted = next_key.fetch_add(1, std::memory_order_relaxed);
    const int code =
        fi_mr_reg(domain_.get(), reinterpret_cast<void*>(first), length, access, 0, wanted, 0, &made.mr, nullptr);
    switch (-code) {
      case 0:
        made.key = fi_mr_key(made.mr);
        made.desc = fi_mr_desc(made.mr);
        ++registered;
        return pinref::gup_error::none;
      case FI_ENOMEM:
      case FI_ENOSPC:
        return pinref::gup_error::no_memory;
      case FI_EACCES:
        return pinref::gup_error::no_permission;
      default:
        return pinref::gup_error::not_mapped;
    }
  }
  bool deregister(memory_key& made) noexcept {
    if (fi_close(&made.mr->fid) != 0) return false;
    --registered;
    return true;
  }

  [[nodiscard]] fi_info* info() const { return info_.get(); }
  [[nodiscard]] fid_domain* get() const { return domain_.get(); }
  [[nodiscard]] bool by_address() const { return (info_->domain_attr->mr_mode & FI_MR_VIRT_ADDR) != 0; }

  std::atomic<int> registered{0};

 private:
  owned_info info_;
  owned<fid_fabric> fabric_;
  owned<fid_domain> domain_;
};

/// One side.
class endpoint {
 public:
  explicit endpoint(domain& on) : domain_(on) {
    fid_av* av = nullptr;
    fi_av_attr table{};
    table.type = FI_AV_TABLE;
    must("fi_av_open", fi_av_open(on.get(), &table, &av, nullptr));
    av_.reset(av);
    fid_cq* cq = nullptr;
    fi_cq_attr queue{};
    queue.format = FI_CQ_FORMAT_CONTEXT;
    queue.size = 256;
    must("fi_cq_open", fi_cq_open(on.get(), &queue, &cq, nullptr));
    cq_.reset(cq);
    fid_ep* ep = nullptr;
    must("fi_endpoint", fi_endpoint(on.get(), on.info(), &ep, nullptr));
    ep_.reset(ep);
    must("fi_ep_bind", fi_ep_bind(ep, &av->fid, 0));
    must("fi_ep_bind", fi_ep_bind(ep, &cq->fid, FI_TRANSMIT | FI_RECV));
    must("fi_enable", fi_enable(ep));
  }

  [[nodiscard]] std::vector<std::byte> name() const {
    std::size_t size = 0;
    (void)fi_getname(&ep_->fid, nullptr, &size);
    std::vector<std::byte> bytes(size);
    must("fi_getname", fi_getname(&ep_->fid, bytes.data(), &size));
    return bytes;
  }
  [[nodiscard]] fi_addr_t insert(const std::vector<std::byte>& other) {
    fi_addr_t at = FI_ADDR_UNSPEC;
    if (fi_av_insert(av_.get(), other.data(), 1, &at, 0, nullptr) != 1) throw std::runtime_error("fi_av_insert");
    return at;
  }

  /// Lets it make progress; the error of an operation that has failed, or how many are over.
  long progress() {
    fi_cq_entry done[8];
    const ssize_t n = fi_cq_read(cq_.get(), done, 8);
    if (n == -FI_EAGAIN) return 0;
    if (n != -FI_EAVAIL) return n;
    fi_cq_err_entry failed{};
    (void)fi_cq_readerr(cq_.get(), &failed, 0);
    return -failed.err;
  }

  /// Starts to write to memory of the other side, or to read it; -FI_EAGAIN if there is no room for it now.
  long start_write(const void* from, std::size_t length, void* desc, fi_addr_t to, std::uint64_t remote,
                   std::uint64_t key) {
    return fi_write(ep_.get(), from, length, desc, to, remote, key, nullptr);
  }
  long start_read(void* into, std::size_t length, void* desc, fi_addr_t from, std::uint64_t remote, std::uint64_t key) {
    return fi_read(ep_.get(), into, length, desc, from, remote, key, nullptr);
  }
  /// Writes to memory of `target`, which is in this program, and returns when it has arrived: 0, or why not.
  long write(const void* from, std::size_t length, void* desc, fi_addr_t to, std::uint64_t remote, std::uint64_t key,
             endpoint& target) {
    long code = 0;
    while ((code = start_write(from, length, desc, to, remote, key)) == -FI_EAGAIN) {
      (void)progress();
      (void)target.progress();
    }
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds{3};
    while (code == 0 && std::chrono::steady_clock::now() < end) {
      if (const long done = progress(); done != 0) return done < 0 ? done : 0;
      (void)target.progress();
    }
    return code != 0 ? code : -FI_ETIMEDOUT;
  }

  [[nodiscard]] domain& on() { return domain_; }

 private:
  domain& domain_;
  owned<fid_av> av_;
  owned<fid_cq> cq_;
  owned<fid_ep> ep_;
};

}  // namespace examples::fabric
