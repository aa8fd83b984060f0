// SPDX-License-Identifier: MIT
#pragma once

// The command line, and what is seen of a page.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <string>
#include <string_view>

#include "support/block.hpp"
#include "support/command_line.hpp"

namespace examples::remote_cache {

struct options {
  std::string provider = "tcp;ofi_rxm";
  std::string directory;
  std::string server_address = "127.0.0.1", client_address = "127.0.0.1";
  std::string client_namespace;  // a file of /proc, or empty
  unsigned seconds = 4, page_kib = 64, lease_ms = 300;
  bool no_pins = false;           // nothing is pinned
  bool no_fence = false;          // leases run out, and that is all
  bool close_only = false;        // the fence is to end the registration
  bool local_completion = false;  // clients do not wait until their data has arrived

  static constexpr unsigned nr_pages = 40, nr_frames = 10, nr_clients = 3;

  options(int argc, char** argv) {
    for (int i = 1; i != argc; ++i) {
      const std::string_view word = argv[i];
      const auto value = [&] {
        if (i + 1 == argc) usage(argv[0], word);
        return std::string{argv[++i]};
      };
      const auto number = [&] { return static_cast<unsigned>(std::strtoul(value().c_str(), nullptr, 10)); };
      if (word == "--provider")
        provider = value();
      else if (word == "--directory")
        directory = value();
      else if (word == "--server-address")
        server_address = value();
      else if (word == "--client-address")
        client_address = value();
      else if (word == "--client-namespace")
        client_namespace = value();
      else if (word == "--seconds")
        seconds = number();
      else if (word == "--page-kib")
        page_kib = number();
      else if (word == "--lease-ms")
        lease_ms = number();
      else if (word == "--no-pins")
        no_pins = true;
      else if (word == "--no-fence")
        no_fence = true;
      else if (word == "--close-only")
        close_only = true;
      else if (word == "--local-completion")
        local_completion = true;
      else
        usage(argv[0], word);
    }
    if (page_kib < 4 || page_kib % 4 != 0 || page_kib > 4096 || lease_ms == 0)
      usage(argv[0], "--page-kib or --lease-ms");
  }

  [[nodiscard]] std::size_t page_bytes() const { return std::size_t{page_kib} << 10; }
  [[nodiscard]] std::size_t blocks() const { return page_bytes() / sizeof(block); }
  [[nodiscard]] std::chrono::milliseconds lease() const { return std::chrono::milliseconds{lease_ms}; }
  /// Does a client reach the server's memory by itself, so that only its end keeps it from that?
  [[nodiscard]] bool one_machine() const { return provider == "shm"; }

 private:
  [[noreturn]] static void usage(const char* program, std::string_view wrong) {
    const std::string text = std::string{program} +
                             " [--seconds N] [--page-kib N] [--lease-ms N] [--provider NAME] [--directory DIR]\n"
                             "  [--server-address A] [--client-address A] [--client-namespace FILE]\n"
                             "  [--no-pins] [--no-fence] [--close-only] [--local-completion]";
    end_with_usage(text.c_str(), wrong);
  }
};

/// A page is so many blocks, each of which says which it is, and of which version.
inline void fill_page(std::span<block> page, std::uint32_t number, std::uint64_t version) {
  for (std::size_t i = 0; i != page.size(); ++i) fill(page[i], number * page.size() + i, version);
}
inline std::string find_page_fault(std::span<const block> page, std::uint32_t number, std::uint64_t version) {
  for (std::size_t i = 0; i != page.size(); ++i)
    if (std::string fault = find_fault(page[i], number * page.size() + i, version); !fault.empty())
      return "page " + std::to_string(number) + ": " + fault;
  return {};
}

}  // namespace examples::remote_cache
