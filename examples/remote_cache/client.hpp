// SPDX-License-Identifier: MIT
#pragma once

// A client: borrows pages and reads or writes them by one-sided operations, from memory of its own, which is pinned as
// well. Now and then it stops in the middle of a write, as a machine does that swaps or is taken for dead, and it talks
// nonsense.

#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <random>
#include <span>
#include <stdexcept>
#include <string>
#include <system_error>

#include "options.hpp"
#include "pinref/host/registration_cache.hpp"
#include "pinref/page/page.hpp"
#include "support/fabric.hpp"
#include "wire.hpp"

namespace examples::remote_cache {

struct server_has_gone {};

class client {
 public:
  client(const options& how, std::uint16_t port, std::uint32_t seed)
      : how_(how),
        port_(port),
        roll_(seed),
        nic_(how.provider, how.client_address,
             how.local_completion ? fabric::completion::local : fabric::completion::delivered) {
    void* const got = ::mmap(nullptr, how.page_bytes(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (got == MAP_FAILED) throw std::system_error(errno, std::generic_category(), "mmap");
    page_ = {static_cast<block*>(got), how.blocks()};
  }

  /// Until it is killed, or the server has gone.
  void run() try {
    for (;;) {
      talk_nonsense();
      session now{*this};
      while (now.turn()) {
      }
    }
  } catch (const server_has_gone&) {
  } catch (const std::system_error& failure) {
    if (failure.code().value() != ECONNREFUSED) throw;
  }

 private:
  using clock = std::chrono::steady_clock;
  using registrations = pinref::registration_cache<fabric::domain, 8>;

  // From one connection to its end: the server may close it at any time.
  struct session {
    client& me;
    connection line;
    fabric::endpoint side;
    fi_addr_t server;
    bool used = false;  // it has a connection

    explicit session(client& self)
        : me(self), line(connection::to(self.how_.server_address, self.port_)), side(self.nic_), server(greet()) {}

    fi_addr_t greet() {
      message hello;
      hello.process = ::getpid();
      hello.set_name(side.name());
      if (!ask(hello)) throw server_has_gone{};
      if (hello.answer != status::good) throw std::runtime_error("the server does not want this client");
      return side.insert({hello.name.begin(), hello.name.begin() + hello.name_bytes});
    }
    // The answer takes the place of the question. False if the connection is over.
    bool ask(message& question) {
      if (!line.send(question)) return false;
      for (;;) switch (line.receive(question)) {
          case connection::received::nothing:
            continue;
          case connection::received::closed:
            return false;
          case connection::received::whole:
            return true;
        }
    }

    // One page. False if the session is over.
    bool turn() {
      const bool to_write = me.roll_() % 3 == 0;
      message lent;
      lent.what = to_write ? kind::write : kind::read;
      lent.page = static_cast<std::uint32_t>(me.roll_() % (me.how_.nr_pages + (me.roll_() % 64 == 0)));
      if (!ask(lent)) return false;
      if (lent.answer == status::later) ::usleep(50);
      if (lent.answer != status::good) return true;

      const std::uint32_t number = lent.page;
      if (to_write) fill_page(me.page_, number, lent.version);
      const bool bad_key = me.roll_() % 512 == 0;
      if (bad_key) lent.key ^= 0x5555;
      const long result = transfer(lent, to_write);
      if (result == over) return false;
      message done = lent;
      done.what = result == 0 ? kind::done : kind::undone;
      if (!ask(done)) return false;
      // What was read counts if the page was still lent afterwards.
      if (result == 0 && !to_write && done.answer == status::good) {
        const std::string fault = find_page_fault(me.page_, number, lent.version);
        if (!fault.empty()) {
          std::fprintf(stderr, "a client: %s\n", fault.c_str());
          done.what = kind::corrupt;
          return ask(done);
        }
      }
      // After an error the connection is of no use.
      return result == 0;
    }

    static constexpr long over = 1;

    // 0, an error, or `over`.
    long transfer(const message& lent, bool to_write) {
      const auto [region, reason] = me.register_page();
      if (region == nullptr) throw std::runtime_error(std::string{"registering: "} + pinref::to_string(reason));
      void* const desc = region->handle().desc;
      const auto start = [&] {
        return to_write ? side.start_write(me.page_.data(), me.page_.size_bytes(), desc, server, lent.address, lent.key)
                        : side.start_read(me.page_.data(), me.page_.size_bytes(), desc, server, lent.address, lent.key);
      };
      const bool rests = to_write && used && me.is_tired();
      if (rests) set_room(16 << 10);
      long result = start();
      for (unsigned tries = 0; result == -FI_EAGAIN; ++tries) {
        (void)side.progress();
        if (tries % 64 == 63 && line.is_closed()) break;
        result = start();
      }
      if (result == 0) {
        if (rests) ::raise(SIGSTOP);
        if (rests) set_room(1 << 20);
        result = finish();
        used = true;
      }
      // Over, or the endpoint goes before it is used again: nobody is at our own memory any more.
      (void)pinref::unpin_user_page(*region);
      return result;
    }
    long finish() {
      for (unsigned tries = 0;; ++tries) {
        const long n = side.progress();
        if (n < 0) return n;
        if (n > 0) return 0;
        if (tries % 64 == 63 && line.is_closed()) return over;
        ::usleep(20);
      }
    }
    // How much may be under way to the server. With little, most of a big page is not when its write has begun.
    static void set_room(int bytes) {
      for (int fd = 3; fd != 256; ++fd) (void)::setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
    }
  };

  [[nodiscard]] registrations::pinned register_page() {
    return cache_.pin(reinterpret_cast<std::uintptr_t>(page_.data()), page_.size_bytes(), FI_READ | FI_WRITE);
  }

  // Stops for a while, in the middle of a write.
  bool is_tired() {
    if (clock::now() < next_rest_) return false;
    next_rest_ = clock::now() + std::chrono::milliseconds{300 + roll_() % 700};
    return true;
  }

  void talk_nonsense() {
    const connection line = connection::to(how_.server_address, port_);
    std::array<std::byte, 300> bytes{};
    for (std::byte& each : bytes) each = static_cast<std::byte>(roll_());
    if (roll_() % 2 == 0) {
      message strange;
      strange.what = static_cast<kind>(roll_() % 9);
      strange.lease = roll_() % 100;
      strange.name_bytes = roll_() % 2 == 0 ? 4000 : 0;
      (void)line.send(strange);
    } else {
      (void)line.send(std::span{bytes}.first(1 + roll_() % bytes.size()));
    }
  }

  const options& how_;
  std::uint16_t port_;
  std::minstd_rand roll_;
  fabric::domain nic_;
  registrations cache_{nic_};
  std::span<block> page_;
  clock::time_point next_rest_ = clock::now() + std::chrono::milliseconds{200 + roll_() % 300};
};

}  // namespace examples::remote_cache
