// SPDX-License-Identifier: MIT

// Pages that processes share: what the ledger costs, what recovery takes, and what others do instead.

#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "chunk_channel.hpp"
#include "paired.hpp"
#include "pinref/pinref.hpp"
#include "pinref/share.hpp"
#include "shared_places.hpp"
#include "workloads.hpp"

#if __has_include(<boost/interprocess/sync/interprocess_mutex.hpp>)
#include <boost/interprocess/sync/interprocess_mutex.hpp>
#define BENCH_BOOST
#endif

namespace {

using namespace bench;

using hold_of = pinref::recorded_hold<pinref::shared_traits>;
using steps = pinref::detail::ledger_steps<pinref::shared_traits>;

/// Pages in a segment. All contenders use the same words, so that none finds them in a cache that another has emptied.
template <std::uint32_t Pages, unsigned Holds>
struct pool {
  pinref::segment memory;
  pinref::member me;

  static pool& the() {
    static auto& it = *new pool;
    return it;
  }
  [[nodiscard]] BENCH_INLINE static std::uint32_t next(stream& from) {
    return Pages == 1 ? 0 : static_cast<std::uint32_t>(from.next() % Pages);
  }

 private:
  pool() {
    const pinref::segment_shape shape{.places = 4, .slots = Holds + 8, .pages = Pages, .page_size = 0};
    if (memory.create(shape) != pinref::segment_error::none || me.join(memory.memory()) != pinref::join_result::joined)
      broken();
    for (std::uint32_t i = 0; i != Pages; ++i) {
      auto page = me.allocate();
      if (!page || me.keep(page.held) != pinref::ledger_result::done) broken();
    }
    stream numbers;
    numbers.seed(1);
    for (unsigned i = 0; i != Holds; ++i)
      if (!me.try_pin(next(numbers))) broken();
  }
};

template <std::uint32_t Pages, unsigned Holds>
struct contestant {
  pool<Pages, Holds>& in = pool<Pages, Holds>::the();
  stream numbers;

  contestant() { numbers.seed(2); }
};

/// The word alone, which nothing records.
template <std::uint32_t Pages, unsigned Holds>
struct plain : contestant<Pages, Holds> {
  void operator()(unsigned, std::size_t ops) {
    stream mine = this->numbers;
    const steps words{this->in.memory.memory(), 0};
    constexpr auto pin = steps::weight(pinref::hold::pin, 1);
    for (; ops != 0; --ops) {
      auto& word = words.word(this->in.next(mine));
      if (word.take(pin) != pinref::take_result::taken ||
          word.release(pin, pinref::owner_ref::counted) != pinref::release_result::released) [[unlikely]]
        broken();
    }
    this->numbers = mine;
  }
};
/// By a hold that knows its place in the ledger.
template <std::uint32_t Pages, unsigned Holds>
struct recorded : contestant<Pages, Holds> {
  void operator()(unsigned, std::size_t ops) {
    stream mine = this->numbers;
    hold_of page{this->in.me};
    for (; ops != 0; --ops)
      if (page.try_pin(this->in.next(mine)) != pinref::ledger_result::done ||
          page.release() != pinref::ledger_result::done) [[unlikely]]
        broken();
    this->numbers = mine;
  }
};
/// By a hold that gets a place each time.
template <std::uint32_t Pages, unsigned Holds>
struct any_place : contestant<Pages, Holds> {
  void operator()(unsigned, std::size_t ops) {
    stream mine = this->numbers;
    for (; ops != 0; --ops) {
      auto page = this->in.me.try_pin(this->in.next(mine));
      if (!page || this->in.me.release(page.held) != pinref::ledger_result::done) [[unlikely]]
        broken();
    }
    this->numbers = mine;
  }
};
/// By a caller that only knows the page.
template <std::uint32_t Pages, unsigned Holds>
struct by_page : contestant<Pages, Holds> {
  void operator()(unsigned, std::size_t ops) {
    stream mine = this->numbers;
    for (; ops != 0; --ops) {
      const std::uint32_t page = this->in.next(mine);
      if (!this->in.me.try_pin(page)) [[unlikely]]
        broken();
      auto held = this->in.me.find(page, pinref::hold::pin);
      if (this->in.me.release(held) != pinref::ledger_result::done) [[unlikely]]
        broken();
    }
    this->numbers = mine;
  }
};

/// Nothing is counted: the slot that says who has the page is the pin.
template <class Sync>
struct in_a_slot {
  template <std::uint32_t Pages>
  struct of {
    shared_places<Sync, 64, Pages> table;
    stream numbers;

    of() { numbers.seed(2); }
    void operator()(unsigned, std::size_t ops) {
      stream mine = numbers;
      const auto pins = table.get();
      for (; ops != 0; --ops) {
        const auto page = pool<Pages, 1>::next(mine);
        if (!pins.pin(0, 0, page)) [[unlikely]]
          broken();
        pins.unpin(0, 0);
      }
      numbers = mine;
    }
  };
};

/// "Is it pinned?", of one of 4096 pages, while the others, if there are any, pin and unpin them.
constexpr std::uint32_t asked_pages = 4096;
struct ask_the_word {
  static constexpr bool background = true;
  pool<asked_pages, 1>& in = pool<asked_pages, 1>::the();
  streams numbers;
  std::size_t pinned = 0;

  void operator()(unsigned thread, std::size_t ops) {
    stream mine = numbers[thread];
    const steps words{in.memory.memory(), 0};
    constexpr auto pin = steps::weight(pinref::hold::pin, 1);
    for (; ops != 0; --ops) {
      const std::uint32_t page = in.next(mine);
      if (thread == 0) {
        pinned += in.memory.page(page).dma_pinned();
      } else {
        auto& word = words.word(page);
        if (word.take(pin) != pinref::take_result::taken) broken();
        (void)word.release(pin, pinref::owner_ref::counted);
      }
    }
    numbers[thread] = mine;
  }
};
template <class Sync, unsigned Places>
struct ask_all_places {
  static constexpr bool background = true;
  shared_places<Sync, Places, asked_pages> table;
  streams numbers;
  std::size_t pinned = 0;

  void operator()(unsigned thread, std::size_t ops) {
    stream mine = numbers[thread];
    const auto pins = table.get();
    for (; ops != 0; --ops) {
      const auto page = static_cast<std::uint32_t>(mine.next() % asked_pages);
      if (thread == 0) {
        pinned += pins.pinned(page);
      } else {
        const unsigned place = thread % Places, slot = thread / Places % table.slots;
        if (!pins.pin(place, slot, page)) broken();
        pins.unpin(place, slot);
      }
    }
    numbers[thread] = mine;
  }
};

template <class Sync>
void add_places(const char* scheme) {
  if (!Sync::registered()) return absent(scheme);
  using base = plain<1, 1>;
  compare<base, base, typename in_a_slot<Sync>::template of<1>>("ledger_pin_unpin", scheme, 1);
  using many = plain<1u << 16, 1>;
  compare<many, many, typename in_a_slot<Sync>::template of<1u << 16>>("ledger_pin_unpin_64k", scheme, 1);
  const std::string name = scheme;
  for (const unsigned threads : {1u, 2u}) {
    compare<get_put<bare>, ask_the_word, ask_all_places<Sync, 64>>("ledger_question", name, threads);
    compare<get_put<bare>, ask_the_word, ask_all_places<Sync, 4>>("ledger_question", name + "_of_4", threads);
    compare<get_put<bare>, ask_the_word, ask_all_places<Sync, 512>>("ledger_question", name + "_of_512", threads);
  }
}

/// What is lent by one process to another, both played by one thread.
struct lent_chunk {
  chunk_channel channel{64, 4096, 2, 2};

  void operator()(unsigned, std::size_t ops) {
    for (; ops != 0; --ops) {
      if (!channel.lend(4096)) [[unlikely]]
        broken();
      const std::uint64_t held = channel.receive();
      if (held == chunk_channel::none || !channel.give_back(held) || !channel.reclaim()) [[unlikely]]
        broken();
    }
  }
};

template <std::uint32_t Pages, unsigned Holds>
void add_ledger(const char* workload) {
  using base = plain<Pages, Holds>;
  compare<base, base, base>(workload, "plain", 1);
  compare<base, base, recorded<Pages, Holds>>(workload, "ledger", 1);
  compare<base, base, any_place<Pages, Holds>>(workload, "ledger_any_place", 1);
  compare<base, base, by_page<Pages, Holds>>(workload, "ledger_by_page", 1);
}

#ifdef BENCH_BOOST
/// A counter under a mutex that processes share. It does not survive its holder either.
struct boost_counter {
  boost::interprocess::interprocess_mutex mutex;
  std::uint64_t pins = 0;

  void operator()(unsigned, std::size_t ops) {
    for (; ops != 0; --ops) {
      for (const std::uint64_t by : {std::uint64_t{1}, ~std::uint64_t{0}}) {
        mutex.lock();
        pins += by;
        mutex.unlock();
      }
    }
    if (pins != 0) broken();
  }
};
#endif

/// A message to a server for each take and for each release, as Plasma has it, and an answer.
struct socket_counter {
  static constexpr bool sleeps = true;

  int ends[2];
  pid_t server;

  socket_counter() {
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) broken();
    server = ::fork();
    if (server == 0) {
      // The caller may have been pinned to its core by an earlier benchmark.
      run_on(cores.back());
      std::uint64_t message = 0;
      while (::read(ends[1], &message, sizeof message) == sizeof message)
        if (::write(ends[1], &message, sizeof message) != sizeof message) break;
      ::_exit(0);
    }
    ::close(ends[1]);
  }
  ~socket_counter() {
    ::close(ends[0]);
    ::kill(server, SIGKILL);
    ::waitpid(server, nullptr, 0);
  }

  void operator()(unsigned, std::size_t ops) {
    for (; ops != 0; --ops)
      for (std::uint64_t message : {std::uint64_t{1}, std::uint64_t{2}})
        if (::write(ends[0], &message, sizeof message) != sizeof message ||
            ::read(ends[0], &message, sizeof message) != sizeof message)
          broken();
  }
};

struct no_devices : pinref::survivor_hooks {
  static bool quiet(const pinref::dead_pins&) noexcept { return true; }
};

/// A member that dies with a thousand pins, and its recovery; against one that releases them.
template <bool Dies>
struct thousand_holds {
  static constexpr unsigned n = 1000;
  pinref::segment memory;
  pinref::member pool_keeper;

  thousand_holds() {
    if (memory.create({.places = 4, .slots = n + 8, .pages = n, .page_size = 0}) != pinref::segment_error::none ||
        pool_keeper.join(memory.memory()) != pinref::join_result::joined)
      broken();
    for (unsigned i = 0; i != n; ++i) {
      auto page = pool_keeper.allocate();
      if (!page || pool_keeper.keep(page.held) != pinref::ledger_result::done) broken();
    }
  }

  void operator()(unsigned, std::size_t ops) {
    std::vector<pinref::ledger_hold> held(n);
    for (; ops != 0; --ops) {
      pinref::member it;
      if (it.join(memory.memory(), {1, 1, 1}) != pinref::join_result::joined) broken();
      for (unsigned i = 0; i != n; ++i) held[i] = it.try_pin(i).held;
      if constexpr (Dies) {
        it.abandon();
        if (pinref::recover(memory.memory(), gone{}).pins != n) broken();
      } else {
        for (auto& each : held)
          if (it.release(each) != pinref::ledger_result::done) broken();
      }
    }
  }

 private:
  struct gone : no_devices {
    static bool process_gone(const pinref::dead_member&) noexcept { return true; }
  };
};

/// From the kill of a process that has a page pinned until somebody else can have the page for itself.
struct kill_to_reuse {
  static constexpr bool sleeps = true;

  pinref::segment memory;
  pinref::member me;
  std::uint32_t page = 0;

  kill_to_reuse() {
    if (memory.create({.places = 4, .slots = 8, .pages = 1, .page_size = 0}) != pinref::segment_error::none ||
        me.join(memory.memory()) != pinref::join_result::joined)
      broken();
  }

  void operator()(unsigned, std::size_t ops) {
    for (; ops != 0; --ops) {
      int ready[2];
      if (::pipe(ready) != 0) broken();
      auto mine = me.allocate();
      const pid_t pid = ::fork();
      if (pid == 0) {
        pinref::segment its;
        pinref::member it;
        char done = 0;
        if (its.attach(memory.descriptor()) == pinref::segment_error::none &&
            it.join(its.memory()) == pinref::join_result::joined && it.try_pin(mine.held.page()))
          done = 1;
        if (::write(ready[1], &done, 1) == 1) ::pause();
        ::_exit(1);
      }
      char done = 0;
      if (::read(ready[0], &done, 1) != 1 || done != 1) broken();
      if (me.release(mine.held) != pinref::ledger_result::done) broken();
      ::kill(pid, SIGKILL);
      while (pinref::recover(memory.memory(), no_devices{}).freed == 0) ::usleep(50);
      ::waitpid(pid, nullptr, 0);
      ::close(ready[0]);
      ::close(ready[1]);
    }
  }
};

void add_benchmarks() {
  add_ledger<1, 1>("ledger_pin_unpin");
  add_ledger<1, 1000>("ledger_pin_unpin_1000_holds");
  add_ledger<1u << 16, 1>("ledger_pin_unpin_64k");
  add_ledger<1u << 16, 1000>("ledger_pin_unpin_64k_1000_holds");
  add_places<global_barriers>("place_is_pin");
  add_places<full_fences>("place_is_pin_fences");
  using base = plain<1, 1>;
  for (const unsigned threads : {1u, 2u})
    compare<get_put<bare>, ask_the_word, ask_the_word>("ledger_question", "ledger", threads);
#ifdef BENCH_BOOST
  compare<base, base, boost_counter>("ledger_pin_unpin", "boost_mutex", 1);
#endif
  compare<base, base, lent_chunk>("ledger_pin_unpin", "iceoryx2_way", 1);
  compare<base, base, socket_counter>("ledger_pin_unpin", "socket", 1);
  compare<thousand_holds<false>, thousand_holds<false>, thousand_holds<true>>("recover_1000_holds", "recover", 1);
  compare<base, base, kill_to_reuse>("kill_to_reuse", "fork_kill_recover", 1);
}

}  // namespace

BENCH_MAIN(add_benchmarks)
