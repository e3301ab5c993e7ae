// Under ThreadSanitizer: `tsan clean` has no race, `tsan race` one, `tsan leak` a thread not joined,
// `tsan order` two locks in two orders.
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <string>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

static long counter;
static std::mutex lock, other;
static std::atomic<int> handled;

static void on_signal(int) { handled++; }

static void clean() {
    std::vector<std::thread> all;
    for (int i = 0; i < 8; i++)
        all.emplace_back([] {
            for (int i = 0; i < 1000; i++) {
                std::lock_guard<std::mutex> guard(lock);
                counter++;
            }
        });
    for (auto &one : all) one.join();
    printf("counter: %ld\n", counter);
}

static void *blocked(void *end) {
    char byte;
    for (;;)
        if (read((int)(long)end, &byte, 1) <= 0) break;
    return nullptr;
}

static void *asleep(void *) {
    for (;;) sleep(1000);
}

static void cancellation() {
    int ends[2], cancelled = 0;
    if (pipe(ends)) return;
    for (int i = 0; i < 10; i++) {
        pthread_t thread;
        void *result;
        pthread_create(&thread, nullptr, i % 2 ? blocked : asleep, (void *)(long)ends[0]);
        if (i % 4 > 1) usleep(2000);
        pthread_cancel(thread);
        pthread_join(thread, &result);
        cancelled += result == PTHREAD_CANCELED;
    }
    printf("cancelled: %d\n", cancelled);
}

static void signals() {
    struct sigaction action = {};
    action.sa_handler = on_signal;
    sigaction(SIGUSR1, &action, nullptr);
    std::thread sender([] {
        for (int i = 0; i < 100; i++) raise(SIGUSR1);
    });
    sender.join();
    pthread_t self = pthread_self();
    std::atomic<bool> stop{false};
    std::thread remote([&] {
        for (int i = 0; i < 20; i++) {
            int before = handled;
            pthread_kill(self, SIGUSR1);
            while (handled == before) std::this_thread::yield();
        }
        stop = true;
    });
    while (!stop) usleep(100);
    remote.join();
    printf("signals: %d\n", handled.load());
}

static void forks() {
    for (int i = 0; i < 3; i++) {
        fflush(stdout);
        pid_t child = fork();
        if (child == 0) _exit(i + 10);
        int status;
        waitpid(child, &status, 0);
        printf("child: %d\n", WEXITSTATUS(status));
    }
}

static void wait_for_it() {
    std::condition_variable condition;
    bool ready = false;
    std::thread setter([&] {
        std::lock_guard<std::mutex> guard(lock);
        ready = true;
        condition.notify_one();
    });
    {
        std::unique_lock<std::mutex> guard(lock);
        condition.wait(guard, [&] { return ready; });
    }
    setter.join();
    printf("condition: met\n");
}

static void race() {
    std::thread one([] { counter++; }), two([] { counter++; });
    one.join();
    two.join();
    printf("raced\n");
}

static void order() {
    std::thread one([] { std::lock_guard<std::mutex> a(lock), b(other); });
    one.join();
    std::thread two([] { std::lock_guard<std::mutex> a(other), b(lock); });
    two.join();
    printf("ordered\n");
}

int main(int count, char **words) {
    std::string kind = count > 1 ? words[1] : "";
    if (kind == "clean") {
        clean();
        wait_for_it();
        signals();
        cancellation();
        forks();
    }
    if (kind == "race") race();
    if (kind == "order") order();
    if (kind == "leak") {
        pthread_t thread;
        pthread_create(&thread, nullptr, [](void *) -> void * { return nullptr; }, nullptr);
        sleep(1);
    }
    printf("end\n");
}
