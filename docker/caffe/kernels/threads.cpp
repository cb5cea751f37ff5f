#include "threads.hpp"

#include <pthread.h>

#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <thread>
#include <vector>

namespace kernels {
namespace {

// Threads that wait for parts of work. One caller's work at a time; they live as long as the process.
class Pool {
 public:
  void run(int parts, const std::function<void(int)>& body) {
    const std::unique_lock<std::mutex> one_caller(calling_, std::try_to_lock);
    if (!one_caller.owns_lock()) {  // the same parts, so the same numbers
      for (int part = 0; part < parts; ++part) body(part);
      return;
    }
    while (static_cast<int>(workers_.size()) < parts - 1) {
      workers_.emplace_back(&Pool::work, this, static_cast<int>(workers_.size()) + 1, round_.load());
      workers_.back().detach();
    }
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      body_ = &body;
      parts_ = parts;
      unfinished_ = static_cast<int>(workers_.size());
      ++round_;
    }
    begin_.notify_all();
    body(0);
    wait(&end_, [this] { return unfinished_ == 0; });
  }

 private:
  void work(int part, int seen) {
    for (;;) {
      wait(&begin_, [&] { return round_ != seen; });
      seen = round_;
      if (part < parts_) (*body_)(part);
      if (--unfinished_ == 0) {
        { const std::lock_guard<std::mutex> lock(mutex_); }
        end_.notify_one();
      }
    }
  }

  // Looks for a few microseconds, which is as long as the next layer takes to come, then sleeps.
  template <typename Condition>
  void wait(std::condition_variable* changed, const Condition& condition) {
    for (int i = 0; i < 2000; ++i) {
      if (condition()) return;
#ifdef __x86_64__
      __builtin_ia32_pause();
#endif
    }
    std::unique_lock<std::mutex> lock(mutex_);
    changed->wait(lock, condition);
  }

  std::mutex calling_, mutex_;
  std::condition_variable begin_, end_;
  std::vector<std::thread> workers_;
  std::atomic<int> round_{0}, unfinished_{0};
  const std::function<void(int)>* body_ = nullptr;
  int parts_ = 0;
};

// Never destroyed: its threads may outlive main(). A process that was forked has none of them, and
// begins with a new pool.
Pool* pool = nullptr;

Pool& the_pool() {
  static std::once_flag once;
  std::call_once(once, [] {
    pool = new Pool;
    pthread_atfork(nullptr, nullptr, [] { pool = new Pool; });
  });
  return *pool;
}

}  // namespace

bool on() {
  const char* plain = std::getenv("CAFFE_PLAIN");
  return plain == nullptr || *plain != '1';
}

int threads_for(size_t work) {
  const size_t worth_waking = 1 << 16;
  return work < worth_waking ? 1 : openblas_get_num_threads();
}

void in_parts(int parts, const std::function<void(int)>& body) { the_pool().run(parts, body); }

}  // namespace kernels
