// SPDX-License-Identifier: MIT
#pragma once

// What clients ask of the server, over a TCP connection beside the fabric: messages of one size, both ways.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace examples::remote_cache {

enum class kind : std::uint32_t {
  hello,    // my endpoint is `name`; the answer has the server's
  read,     // lend me `page` to read
  write,    // lend me `page` to write, as version `version` of the answer
  done,     // the transfer of `lease` is over
  undone,   // the transfer of `lease` has failed, and is over
  corrupt,  // what I have read is not what it should be
};

enum class status : std::uint32_t {
  good,
  later,    // not now
  expired,  // there is no such lease any more
  refused,  // that is nonsense
};

struct message {
  static constexpr std::uint32_t expected = 0x50696e52;

  std::uint32_t magic = expected;
  kind what = kind::hello;
  status answer = status::good;
  std::uint32_t page = 0;
  std::uint64_t lease = 0;
  std::uint64_t address = 0;  // of the page, as the provider wants it
  std::uint64_t key = 0;
  std::uint64_t version = 0;
  std::int32_t process = 0;  // of the client, on this machine
  std::uint32_t name_bytes = 0;
  std::array<std::byte, 128> name{};

  void set_name(const std::vector<std::byte>& bytes) {
    if (bytes.size() > name.size()) throw std::length_error("the name of an endpoint");
    name_bytes = static_cast<std::uint32_t>(bytes.size());
    std::copy(bytes.begin(), bytes.end(), name.begin());
  }
};
static_assert(std::is_trivially_copyable_v<message>);

/// A socket that is closed when it goes.
class connection {
 public:
  connection() = default;
  explicit connection(int fd) : fd_(fd) {}
  connection(connection&& other) noexcept : fd_(std::exchange(other.fd_, -1)), half_(other.half_), got_(other.got_) {}
  connection& operator=(connection&& other) noexcept {
    std::swap(fd_, other.fd_);
    std::swap(half_, other.half_);
    std::swap(got_, other.got_);
    return *this;
  }
  ~connection() {
    if (fd_ >= 0) ::close(fd_);
  }

  static sockaddr_in address_of(const std::string& host, std::uint16_t port) {
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_port = htons(port);
    if (::inet_pton(AF_INET, host.c_str(), &at.sin_addr) != 1)
      throw std::system_error(EINVAL, std::generic_category(), host);
    return at;
  }
  static connection listen_at(const std::string& host) {
    connection made{must(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), "socket")};
    const sockaddr_in at = connection::address_of(host, 0);
    must(::bind(made.fd_, reinterpret_cast<const sockaddr*>(&at), sizeof at), "bind");
    must(::listen(made.fd_, 64), "listen");
    return made;
  }
  static connection to(const std::string& host, std::uint16_t port) {
    connection made{must(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket")};
    const sockaddr_in at = connection::address_of(host, port);
    must(::connect(made.fd_, reinterpret_cast<const sockaddr*>(&at), sizeof at), "connect");
    const int yes = 1;
    (void)::setsockopt(made.fd_, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    return made;
  }
  [[nodiscard]] std::uint16_t port() const {
    sockaddr_in at{};
    socklen_t size = sizeof at;
    must(::getsockname(fd_, reinterpret_cast<sockaddr*>(&at), &size), "getsockname");
    return ntohs(at.sin_port);
  }
  /// Of a listener: one that wants to be served, or an empty one.
  [[nodiscard]] connection accept() const {
    return connection{::accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK)};
  }

  [[nodiscard]] int fd() const { return fd_; }
  [[nodiscard]] explicit operator bool() const { return fd_ >= 0; }

  /// False if the other side is gone, or does not listen.
  [[nodiscard]] bool send(std::span<const std::byte> bytes) const {
    return ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size());
  }
  [[nodiscard]] bool send(const message& what) const { return send(std::as_bytes(std::span{&what, 1})); }

  enum class received : unsigned char { nothing, whole, closed };
  /// What has come of the next message; waits for it on a socket that blocks.
  [[nodiscard]] received receive(message& what) {
    const ssize_t n = ::recv(fd_, reinterpret_cast<std::byte*>(&half_) + got_, sizeof half_ - got_, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return received::nothing;
    if (n <= 0) return received::closed;
    got_ += static_cast<std::size_t>(n);
    if (got_ != sizeof half_) return received::nothing;
    got_ = 0;
    what = half_;
    return received::whole;
  }
  /// Has the other side gone?
  [[nodiscard]] bool is_closed() const {
    std::byte next;
    return ::recv(fd_, &next, 1, MSG_PEEK | MSG_DONTWAIT) == 0 || (errno != EAGAIN && errno != EINTR && errno != 0);
  }

 private:
  static int must(int result, const char* call) {
    if (result < 0) throw std::system_error(errno, std::generic_category(), call);
    return result;
  }

  int fd_ = -1;
  message half_;
  std::size_t got_ = 0;
};

}  // namespace examples::remote_cache
