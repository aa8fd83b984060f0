// SPDX-License-Identifier: MIT
#pragma once

// libfabric's own cache of registrations (ofi_mr_cache_search, ofi_mr_cache_delete), as its verbs provider has it: a
// registration is a call of fi_mr_reg, its end one of fi_close, and what the cache knows is not registered again. It is
// the library as installed, on a card that played_verbs.cpp plays. It keeps its list of what was used longest ago, and
// is bounded as the others are. Nobody tells it of memory that goes away: the monitor is one that knows of nothing, so
// nothing is patched, and a hit asks it and is told yes.

#include <rdma/fabric.h>
#include <rdma/fi_domain.h>
#include <rdma/fi_endpoint.h>
#include <rdma/fi_ext.h>
#include <stdlib.h>
#include <string.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "pages.hpp"

namespace bench {

class fabric_domain {
 public:
  fabric_domain(std::size_t max_regions, std::size_t max_bytes) {
    if (!open(max_regions, max_bytes)) broken();
  }
  fabric_domain(const fabric_domain&) = delete;
  fabric_domain& operator=(const fabric_domain&) = delete;
  ~fabric_domain() { close(); }

  [[nodiscard]] fid_domain* get() const noexcept { return domain_; }

  /// Has the installed library such a provider, with a cache?
  [[nodiscard]] static bool has_cache(std::size_t max_regions, std::size_t max_bytes) {
    fabric_domain tried;
    if (!tried.open(max_regions, max_bytes)) return false;
    fid_mr *first = nullptr, *second = nullptr;
    static char some[4096];
    for (fid_mr** each : {&first, &second})
      if (::fi_mr_reg(tried.get(), some, sizeof some, FI_SEND, 0, 0, 0, each, nullptr) != 0) broken();
    for (fid_mr* each : {first, second}) ::fi_close(&each->fid);
    return first == second;
  }

 private:
  fabric_domain() = default;

  bool open(std::size_t max_regions, std::size_t max_bytes) {
    ::setenv("FI_PROVIDER", "verbs", 1);
    ::setenv("FI_VERBS_DGRAM_USE_NAME_SERVER", "0", 1);
    ::setenv("FI_MR_CACHE_MAX_COUNT", std::to_string(max_regions).c_str(), 1);
    ::setenv("FI_MR_CACHE_MAX_SIZE", std::to_string(max_bytes).c_str(), 1);
    fi_info* const hints = ::fi_allocinfo();
    hints->ep_attr->type = FI_EP_DGRAM;
    hints->mode = ~std::uint64_t{0};
    hints->domain_attr->mr_mode = FI_MR_LOCAL | FI_MR_VIRT_ADDR | FI_MR_ALLOCATED | FI_MR_PROV_KEY;
    hints->domain_attr->threading = FI_THREAD_SAFE;
    hints->fabric_attr->prov_name = ::strdup("verbs");
    const int found = ::fi_getinfo(FI_VERSION(1, 13), nullptr, nullptr, 0, hints, &info_);
    ::fi_freeinfo(hints);
    if (found != 0 || ::fi_fabric(info_->fabric_attr, &fabric_, nullptr) != 0) return false;
    import_monitor();
    return ::fi_domain(fabric_, info_, &domain_, nullptr) == 0;
  }
  void close() {
    if (domain_ != nullptr) ::fi_close(&domain_->fid);
    if (fabric_ != nullptr) ::fi_close(&fabric_->fid);
    if (info_ != nullptr) ::fi_freeinfo(info_);
  }
  // Once for the process.
  static void import_monitor() {
    static fi_ops_mem_monitor answers = {
        sizeof answers,
        [](fid_mem_monitor*) { return 0; },
        [](fid_mem_monitor*) {},
        [](fid_mem_monitor*, const void*, std::size_t) { return 0; },
        [](fid_mem_monitor*, const void*, std::size_t) {},
        [](fid_mem_monitor*, const void*, std::size_t) { return true; },
    };
    static fid_mem_monitor monitor{{FI_CLASS_MEM_MONITOR, nullptr, nullptr}, &answers, nullptr};
    static const int imported = ::fi_import(FI_VERSION(1, 13), "mr_cache", nullptr, 0, 0, &monitor.fid, nullptr);
    if (imported != 0) broken();
  }

  fi_info* info_ = nullptr;
  fid_fabric* fabric_ = nullptr;
  fid_domain* domain_ = nullptr;
};

}  // namespace bench
