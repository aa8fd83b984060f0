// SPDX-License-Identifier: MIT

// Worker processes share a pool of frames, with real direct I/O, and are killed at random.
//
//   shared_pool [--no-ledger | --at-death | --at-end] [--long] [--directory DIR]
//
// It runs for 3 seconds, with --long for 10 minutes, and a control until it is caught.
//
// Workers read blocks into frames of one memfd, look at those that are there, and change some; the supervisor writes
// changed ones back, kills workers by SIGKILL, and starts new ones. Whoever is killed had references, pins, claims and
// page locks, and reads in flight. Survivors release what it held; a frame that a device may still be writing to is
// replaced. Every block is verified whenever it is looked at, and in the end all frames are there again.
//
// Controls: --no-ledger recovers nothing, and the pool stands still. --at-death releases pins as soon as their holder
// is dead, --at-end as soon as its process is gone: a read that is in flight then lands in another block.
//
// Exit code: 0 all verified, 1 blocks were corrupted or frames were lost, 2 wrong usage or failed I/O, 77 this machine
// cannot run it.

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <random>
#include <span>
#include <stdexcept>
#include <string>

#include "pool.hpp"
#include "reader.hpp"
#include "support/command_line.hpp"
#include "support/direct_file.hpp"
#include "worker.hpp"

namespace examples::shared_pool {
namespace {

struct totals {
  std::uint64_t kills = 0;
  std::uint64_t in_flight = 0;  // pins of dead workers whose devices might have been at work
  std::uint64_t replaced = 0;   // frames left to their devices
  std::uint64_t settled = 0;    // records that were in doubt
  std::uint64_t written = 0;
  std::string lost;
};

class supervisor {
 public:
  supervisor(pinref::segment& memory, const direct_file& file, rule how)
      : memory_(memory), pool_(memory), file_(file), how_(how) {
    if (me_.join(memory.memory()) != pinref::join_result::joined) throw std::runtime_error("cannot join");
  }

  totals run(std::chrono::steady_clock::duration how_long) {
    for (pid_t& each : workers_) each = start();
    const auto end = std::chrono::steady_clock::now() + how_long;
    while (std::chrono::steady_clock::now() < end && !over()) {
      ::usleep(static_cast<useconds_t>(500 + roll_() % 4000));
      memory_.tick();
      const std::size_t victim = roll_() % workers_.size();
      kill(workers_[victim]);
      note(how_.recover ? recover(pool_, me_, how_) : pinref::recovery_report{});
      workers_[victim] = start();
      write_back(4);
    }
    for (const pid_t each : workers_) kill(each);
    while (::waitpid(-1, nullptr, 0) > 0) {
    }
    if (over() || !how_.recover) return so_far_;
    write_back(nr_frames);
    // Nobody is left but the supervisor: what the dead held is all known, and all gone.
    for (int i = 0; i != 100; ++i) {
      const auto report = recover(pool_, me_, how_);
      note(report);
      if (report.left_dead == 0) break;
      ::usleep(1000);
    }
    find_losses();
    return so_far_;
  }

  /// Has no frame been to be had for long?
  [[nodiscard]] bool starved() { return pool_.all().hungry.load() > 100'000; }
  /// Every block as the disk has it in the end.
  void verify_disk() {
    const auto blocks = std::make_unique<block[]>(nr_blocks);
    file_.read({blocks.get(), nr_blocks}, 0);
    for (std::uint32_t number = 0; number != nr_blocks; ++number) {
      const std::string fault = find_fault(blocks[number], number, pool_.all().written[number].load());
      if (!fault.empty() && pool_.all().faults.fetch_add(1) == 0) std::fprintf(stderr, "disk: %s\n", fault.c_str());
    }
  }

 private:
  [[nodiscard]] bool over() { return starved() || pool_.all().faults.load() != 0; }

  pid_t start() {
    const auto seed = static_cast<std::uint32_t>(roll_());
    const pid_t parent = ::getpid();
    const pid_t pid = ::fork();
    if (pid < 0) throw std::runtime_error("cannot fork");
    if (pid != 0) return pid;
    // Should the parent go, so does this.
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(failed);
    static pinref::segment mine;
    if (mine.attach(memory_.descriptor()) != pinref::segment_error::none) ::_exit(failed);
    static worker self(mine, file_.fd(), how_, seed);
    self.run();
  }
  void kill(pid_t pid) {
    if (::kill(pid, SIGKILL) == 0) ++so_far_.kills;
    // Not waited for: what survivors may do meanwhile is the question. It is buried later.
    while (::waitpid(-1, nullptr, WNOHANG) > 0) {
    }
  }
  void note(const pinref::recovery_report& report) {
    so_far_.in_flight += report.quarantined + report.replaced;
    so_far_.replaced += report.replaced;
    so_far_.settled += report.settled;
  }

  // Writes changed frames to the disk, one after the other.
  void write_back(std::uint32_t most) {
    for (std::uint32_t i = 0; i != nr_frames && most != 0; ++i) {
      const std::uint32_t frame = next_++ % nr_frames;
      if (!memory_.page(frame).dirty()) continue;
      auto held = me_.try_get(frame);
      if (!held) continue;
      const auto number = pool_.label_of(frame).block();
      if (number && pool_.label_of(frame).valid() && pool_.lock(me_, frame, *number)) {
        auto pin = me_.try_pin(frame);
        pool_.verify(frame, *number, "before it is written");
        (void)memory_.page(frame).clear_dirty();
        const block& b = pool_.content(frame);
        file_.write({&b, 1}, *number);
        pool_.all().written[*number].store(b.version);
        (void)me_.release(pin.held);
        (void)me_.unlock_page(frame);
        ++so_far_.written;
        --most;
      }
      (void)me_.release(held.held);
    }
  }

  void find_losses() {
    std::uint32_t kept = 0, pinned = 0, wrong = 0;
    for (std::uint32_t frame = 0; frame != nr_frames; ++frame) {
      const auto word = memory_.page(frame).snapshot();
      kept += memory_.page(frame).kept();
      pinned += word.pins() != 0;
      wrong += memory_.page(frame).kept() ? word.references() != 1 : word.zone() != pinref::zone::dead;
    }
    const std::uint32_t lost = nr_frames - kept - memory_.nr_free();
    if (lost + pinned + wrong != 0)
      so_far_.lost = std::to_string(lost) + " frames lost, " + std::to_string(pinned) + " pinned, " +
                     std::to_string(wrong) + " words wrong";
  }

  pinref::segment& memory_;
  pool pool_;
  const direct_file& file_;
  rule how_;
  pinref::member me_;
  std::minstd_rand roll_{4711};
  std::array<pid_t, nr_workers> workers_{};
  std::uint32_t next_ = 0;
  totals so_far_;
};

int demonstrate(const command_line& options) {
  const direct_file file(options.directory());
  pinref::segment memory;
  if (memory.create({.places = 64, .slots = 512, .pages = nr_frames, .user_bytes = sizeof(directory)}) !=
      pinref::segment_error::none)
    throw cannot_run("there is no memfd that can be sealed");
  auto& all = *new (memory.user()) directory{};
  {
    const auto blocks = std::make_unique<block[]>(nr_blocks);
    for (std::uint32_t number = 0; number != nr_blocks; ++number) {
      fill(blocks[number], number, 1);
      all.written[number].store(1);
      all.started[number].store(1);
    }
    file.write({blocks.get(), nr_blocks}, 0);
  }
  const rule how{!options.has("--no-ledger"), !options.has("--at-death"),
                 !options.has("--at-death") && !options.has("--at-end")};
  if (!how.replace && !reader(file.fd(), 8).asynchronous())
    throw cannot_run("without io_uring nothing is in flight when a process has died");
  supervisor above(memory, file, how);
  // A control runs until it is caught.
  const bool crippled = !how.recover || !how.wait_for_end || !how.replace;
  const totals end = above.run(std::chrono::seconds(crippled ? 40 : options.has("--long") ? 600 : 3));
  if (!above.starved() && all.faults.load() == 0) above.verify_disk();

  std::printf("killed           %" PRIu64 " workers, with %" PRIu64 " pins in flight; %" PRIu64
              " calls were in doubt\n",
              end.kills, end.in_flight, end.settled);
  std::printf("frames           %" PRIu64 " replaced under their devices, %" PRIu64 " evicted\n", end.replaced,
              all.evictions.load());
  std::printf("blocks           %" PRIu64 " read, %" PRIu64 " looked at, %" PRIu64 " changed, %" PRIu64
              " repaired, %" PRIu64 " written back\n",
              all.reads.load(), all.visits.load(), all.updates.load(), all.repairs.load(), end.written);
  if (all.faults.load() != 0) {
    std::printf("CORRUPT: %" PRIu64 " blocks were not what they should have been\n", all.faults.load());
    return corrupt;
  }
  if (above.starved()) {
    std::printf("STARVED: no frame is left\n");
    return corrupt;
  }
  if (!end.lost.empty()) {
    std::printf("LOST: %s\n", end.lost.c_str());
    return corrupt;
  }
  if (options.has("--at-end")) throw cannot_run("whenever a process had gone, the kernel had ended its reads already");
  std::printf("verified         every block; no frame and no pin is lost\n");
  return verified;
}

}  // namespace
}  // namespace examples::shared_pool

int main(int argc, char** argv) {
  const examples::command_line options(argc, argv, {"--no-ledger", "--at-death", "--at-end", "--long"});
  return examples::run([&] { return examples::shared_pool::demonstrate(options); });
}
