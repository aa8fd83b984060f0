// SPDX-License-Identifier: MIT
#pragma once

// The server: lends pages to its clients, each of which has an endpoint here of its own, so that it can be fenced.

#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "loans.hpp"
#include "options.hpp"
#include "pool.hpp"
#include "support/fabric.hpp"
#include "wire.hpp"

namespace examples::remote_cache {

class server {
 public:
  /// Counts the transfers of its clients in `transfers`.
  server(const options& how, const direct_file& file, std::atomic<std::uint64_t>& transfers)
      : how_(how),
        transfers_(transfers),
        nic_(how.provider, how.server_address),
        pool_(how, file, nic_),
        listener_(connection::listen_at(how.server_address)) {
    if (me_.join(pool_.ledger()) != pinref::join_result::joined) throw std::runtime_error("cannot join the segment");
  }

  [[nodiscard]] std::uint16_t port() const { return listener_.port(); }

  /// Until it is told to stop; then the verdict.
  int run(const std::atomic<bool>& stop) {
    std::thread keeper{[&] {
      pinref::member own;
      if (own.join(pool_.ledger()) != pinref::join_result::joined) std::abort();
      while (!done_.load(std::memory_order_relaxed)) {
        const bool wrote = pool_.write_back(own);
        if (!pool_.evict(own) && !wrote) ::usleep(100);
      }
      if (own.leave() != pinref::leave_result::left) pool_.complain("who empties frames still holds one");
    }};
    while (!is_over(stop)) {
      greet();
      for (client& each : clients_) serve(each);
      for (client& each : clients_)
        if (each.side) (void)each.side->progress();
      loans_.expire([this](auto who) noexcept { return fence(who); });
      clients_.remove_if([](const client& each) { return each.gone; });
      // Sleeping, not yielding: who has slept is let in soon where many want to run.
      ::usleep(20);
    }
    done_ = true;
    keeper.join();
    for (client& each : clients_) part(each);
    clients_.clear();
    std::string lost = pool_.faults == 0 ? pool_.settle(me_) : std::string{};
    if (lost.empty() && pool_.faults == 0 && me_.leave() != pinref::leave_result::left) lost = "pins of clients";
    return report(lost);
  }

 private:
  using clock = std::chrono::steady_clock;

  struct client {
    std::uint32_t number;
    connection line;
    std::unique_ptr<fabric::endpoint> side;
    int process = -1;  // a descriptor of it, on this machine
    bool gone = false;
  };

  // Told to stop, and with something to tell; it is not waited for for ever.
  [[nodiscard]] bool is_over(const std::atomic<bool>& stop) {
    if (pool_.faults != 0) return true;
    if (!stop.load(std::memory_order_relaxed)) return false;
    if (last_ == clock::time_point{}) last_ = clock::now() + std::chrono::seconds{40};
    return has_seen_all() || clock::now() > last_;
  }
  [[nodiscard]] bool has_seen_all() const {
    // A small page is under way as a whole, and on one machine there is no line.
    const bool tears = how_.page_kib >= 1024 && !how_.one_machine();
    return nr_reads_ != 0 && nr_writes_ != 0 && nr_late_ != 0 && pool_.nr_evicted != 0 && (!tears || pool_.torn != 0);
  }

  void greet() {
    while (connection line = listener_.accept()) clients_.push_back({next_client_++, std::move(line), nullptr});
  }

  // What it wants, before what it has sent over the fabric is looked at: the two are not in order.
  void serve(client& who) {
    message asked;
    for (;;) {
      if (who.gone) return;
      switch (who.line.receive(asked)) {
        case connection::received::nothing:
          return;
        case connection::received::closed:
          return part(who);
        case connection::received::whole:
          break;
      }
      if (asked.magic != message::expected) {
        ++rubbish_;
        return part(who);
      }
      message answer = asked;
      answer.answer = handle(who, asked, answer);
      if (answer.answer == status::refused) ++rubbish_;
      if (!who.gone && !who.line.send(answer)) part(who);
    }
  }

  status handle(client& who, const message& asked, message& answer) {
    switch (asked.what) {
      case kind::hello:
        return welcome(who, asked, answer);
      case kind::read:
      case kind::write:
        return lend(who, asked, answer);
      case kind::done:
      case kind::undone: {
        std::optional<loan> lent = loans_.give_back(who.number, asked.lease);
        if (!lent) return status::expired;
        ++(lent->to_write ? nr_writes_ : nr_reads_);
        ++transfers_;
        pool_.returned(me_, *lent, asked.what == kind::done);
        return status::good;
      }
      case kind::corrupt:
        if (!who.side) return status::refused;
        pool_.complain("a client has read another page than it asked for");
        return status::good;
    }
    return status::refused;
  }

  status welcome(client& who, const message& asked, message& answer) {
    if (who.side || asked.name_bytes == 0 || asked.name_bytes > asked.name.size()) return status::refused;
    auto side = std::make_unique<fabric::endpoint>(nic_);
    try {
      (void)side->insert({asked.name.begin(), asked.name.begin() + asked.name_bytes});
    } catch (const std::exception&) {
      return status::refused;
    }
    if (how_.one_machine()) who.process = static_cast<int>(::syscall(SYS_pidfd_open, asked.process, 0));
    if (how_.one_machine() && who.process < 0) return status::refused;
    who.side = std::move(side);
    answer.set_name(who.side->name());
    return status::good;
  }

  status lend(client& who, const message& asked, message& answer) {
    if (!who.side || asked.page >= how_.nr_pages) return status::refused;
    const std::uint64_t until = loan_book::now() + how_.lease_ms;
    const std::optional<loan> lent = pool_.lend(me_, asked.page, asked.what == kind::write, until);
    if (!lent) return status::later;
    answer.address = lent->address;
    answer.key = lent->key;
    answer.version = lent->version;
    answer.lease = loans_.lend(who.number, until, *lent);
    return status::good;
  }

  // Its client can reach no memory of ours any more, whatever it had begun. True if so.
  bool fence(std::uint32_t number) noexcept {
    ++nr_late_;
    if (how_.no_fence || how_.close_only) return false;  // the controls
    for (client& each : clients_)
      if (each.number == number) cut(each);
    return true;
  }
  // The key is looked at when a write begins, and its data come in later: so the connection is closed. On one machine
  // the client's processor writes, which ends with its process.
  void cut(client& who) noexcept {
    if (who.gone) return;
    if (who.process >= 0) {
      (void)::syscall(SYS_pidfd_send_signal, who.process, SIGKILL, nullptr, 0);
      pollfd over{who.process, POLLIN, 0};
      while (::poll(&over, 1, -1) < 0) {
      }
      ::close(std::exchange(who.process, -1));
    }
    who.side.reset();
    who.line = connection{};
    who.gone = true;
  }
  void part(client& who) {
    if (who.gone) return;
    cut(who);
    loans_.revoke(who.number);
  }

  int report(const std::string& lost) {
    const auto counts = pool_.registered();
    std::printf("served        %" PRIu64 " pages read and %" PRIu64 " written by clients; %" PRIu64
                " requests that make no sense\n",
                nr_reads_, nr_writes_, rubbish_);
    std::printf("clients       %u, of which %" PRIu64 " did not give back in time; %" PRIu64
                " pages taken back, %" PRIu64 " with half a write in them\n",
                next_client_, nr_late_, loans_.nr_taken_back(), pool_.torn);
    std::printf("pool          %" PRIu64 " frames emptied, %" PRIu64 " pages written back, %" PRIu64 " registrations\n",
                pool_.nr_evicted.load(), pool_.nr_written_back, counts.registered);
    if (pool_.faults != 0) {
      std::printf("CORRUPT: data that nobody wrote there, or lost\n");
      return corrupt;
    }
    if (!lost.empty()) {
      std::printf("LOST: %s\n", lost.c_str());
      return corrupt;
    }
    if (!has_seen_all()) {
      std::printf("too little has happened to say that it works\n");
      return failed;
    }
    std::printf("verified      every page, by version and checksum\n");
    return verified;
  }

  const options& how_;
  std::atomic<std::uint64_t>& transfers_;
  fabric::domain nic_;
  pool pool_;
  connection listener_;
  std::list<client> clients_;
  pinref::member me_;
  loan_book loans_{pool_, me_};
  std::atomic<bool> done_{false};
  clock::time_point last_{};
  std::uint32_t next_client_ = 0;
  std::uint64_t nr_reads_ = 0, nr_writes_ = 0, nr_late_ = 0, rubbish_ = 0;
};

}  // namespace examples::remote_cache
