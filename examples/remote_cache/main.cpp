// SPDX-License-Identifier: MIT
//
// A page cache that is served to other machines: clients read and write its pages by one-sided operations of libfabric,
// while the server writes pages back to a file, empties frames and gives their memory to the system. Every page that is
// lent is pinned, by a lease with a deadline. Clients are killed in the middle of a write, and others go silent: the
// server fences them first, and only then takes its pages back.
//
// machines.sh runs it on two machines, as far as the network goes.
//
//   remote_cache [--seconds N] [--page-kib N] [--provider NAME]
//     --no-pins            nothing is pinned
//     --no-fence           a lease runs out, and that is all
//     --close-only         the fence is to end the registration
//     --local-completion   clients do not wait until their data has arrived
//
// Exit code: 0 all verified, 1 pages were corrupted or lost, 2 wrong usage, 77 this machine cannot run it.

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <new>
#include <random>
#include <string>
#include <system_error>

#include "client.hpp"
#include "options.hpp"
#include "server.hpp"
#include "support/command_line.hpp"
#include "support/direct_file.hpp"

namespace examples::remote_cache {
namespace {

std::atomic<bool> stop{false};

using clock = std::chrono::steady_clock;

class supervisor {
 public:
  explicit supervisor(const options& how) : how_(how) {
    // Of the server's, too.
    void* const got = ::mmap(nullptr, sizeof *transfers_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (got == MAP_FAILED) throw std::system_error(errno, std::generic_category(), "mmap");
    transfers_ = new (got) std::atomic<std::uint64_t>{0};
  }

  int run() {
    // libfabric is for children: it does not outlive a fork.
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) throw std::system_error(errno, std::generic_category(), "pipe");
    server_ = start([&] { return serve(ends[1]); });
    ::close(ends[1]);
    const bool serves = ::read(ends[0], &port_, sizeof port_) == sizeof port_;
    ::close(ends[0]);
    if (!serves) return wait_for_server();

    for (guest& each : clients_) start_client(each);
    const auto end = clock::now() + std::chrono::seconds{how_.seconds};
    auto next_kill = clock::now() + std::chrono::milliseconds{300};
    std::uint64_t transfers_seen = 0;
    for (bool told = false; !is_over();) {
      ::usleep(2000);
      // It may go on for a while, with all that happens to its clients.
      if (!told && clock::now() > end) told = ::kill(server_, SIGTERM) == 0;
      for (guest& each : clients_)
        if (each.silent && clock::now() > each.until) {
          each.silent = false;
          ::kill(each.process, SIGCONT);
        }
      // Not faster than a machine with much to do gets on.
      if (clock::now() > next_kill && *transfers_ > transfers_seen + 10) {
        transfers_seen = *transfers_;
        const guest& victim = clients_[roll_() % clients_.size()];
        if (!victim.silent && ::kill(victim.process, SIGKILL) == 0) ++kills_;
        next_kill = clock::now() + std::chrono::milliseconds{150 + roll_() % 300};
      }
    }
    if (broken_) ::kill(server_, SIGKILL);
    const int verdict = wait_for_server();
    for (const guest& each : clients_) ::kill(each.process, SIGKILL);
    for (pid_t pid; (pid = ::waitpid(-1, nullptr, 0)) > 0;) clear_up(pid);
    clear_up(server_);
    std::printf("interrupted   %u clients killed, %u gone silent for longer than their leases\n", kills_, silences_);
    return broken_ ? failed : verdict;
  }

 private:
  struct guest {
    pid_t process = -1;
    bool silent = false;
    clock::time_point until{};
  };

  template <class Job>
  pid_t start(Job job) {
    const pid_t parent = ::getpid();
    std::fflush(nullptr);
    const pid_t pid = ::fork();
    if (pid < 0) throw std::system_error(errno, std::generic_category(), "fork");
    if (pid != 0) return pid;
    // Should the parent go, so does this.
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(failed);
    const int code = examples::run(job);
    std::fflush(nullptr);
    ::_exit(code);
  }

  int serve(int ready) {
    struct sigaction on_term {};
    on_term.sa_handler = [](int) { stop = true; };
    ::sigaction(SIGTERM, &on_term, nullptr);
    const direct_file file(how_.directory);
    server own{how_, file, *transfers_};
    const std::uint16_t port = own.port();
    if (::write(ready, &port, sizeof port) != sizeof port) return failed;
    return own.run(stop);
  }
  int visit(std::uint32_t seed) {
    if (!how_.client_namespace.empty()) {
      const int other = ::open(how_.client_namespace.c_str(), O_RDONLY | O_CLOEXEC);
      if (other < 0 || ::setns(other, CLONE_NEWNET) != 0)
        throw std::system_error(errno, std::generic_category(), how_.client_namespace);
      ::close(other);
    }
    client{how_, port_, seed}.run();
    return verified;
  }
  void start_client(guest& which) {
    const auto seed = static_cast<std::uint32_t>(roll_());
    which = {start([this, seed] { return visit(seed); })};
  }

  // Looks after the children. Is the server's run over?
  bool is_over() {
    int how = 0;
    for (pid_t pid; (pid = ::waitpid(-1, &how, WNOHANG | WUNTRACED)) > 0;) {
      if (pid == server_) {
        server_has_ended_ = true;
        server_status_ = how;
        continue;
      }
      for (guest& each : clients_) {
        if (each.process != pid) continue;
        if (WIFSTOPPED(how)) {
          each.silent = true;
          each.until = clock::now() + how_.lease() * 5 / 2;
          ++silences_;
          continue;
        }
        clear_up(pid);
        // A client ends when it is killed, or when the server has ended.
        if (WIFEXITED(how) && WEXITSTATUS(how) != 0 && ++complaints_ > 20) broken_ = true;
        start_client(each);
      }
    }
    return server_has_ended_ || broken_;
  }
  // What the provider shm leaves behind when a process is killed.
  static void clear_up(pid_t pid) {
    const std::string own = std::to_string(pid) + ":";
    std::error_code none;
    for (const auto& each : std::filesystem::directory_iterator("/dev/shm", none))
      if (each.path().filename().string().starts_with(own)) ::unlink(each.path().c_str());
  }
  int wait_for_server() {
    if (!server_has_ended_ && ::waitpid(server_, &server_status_, 0) != server_)
      throw std::system_error(errno, std::generic_category(), "waitpid");
    server_has_ended_ = true;
    if (WIFEXITED(server_status_)) return WEXITSTATUS(server_status_);
    std::printf("CORRUPT: the server was ended by signal %d\n", WTERMSIG(server_status_));
    return corrupt;
  }

  const options& how_;
  std::atomic<std::uint64_t>* transfers_ = nullptr;
  std::uint16_t port_ = 0;
  pid_t server_ = -1;
  bool server_has_ended_ = false, broken_ = false;
  int server_status_ = 0;
  std::array<guest, options::nr_clients> clients_{};
  std::minstd_rand roll_{4711};
  unsigned kills_ = 0, silences_ = 0, complaints_ = 0;
};

}  // namespace
}  // namespace examples::remote_cache

int main(int argc, char** argv) {
  using namespace examples::remote_cache;
  const options how(argc, argv);
  // The two providers, and not on whatever network there is.
  ::setenv("FI_PROVIDER", "shm,tcp,ofi_rxm", 0);
  if (how.server_address == "127.0.0.1") ::setenv("FI_TCP_IFACE", "lo", 0);
  return examples::run([&] { return supervisor{how}.run(); });
}
