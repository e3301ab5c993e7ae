import java.lang.management.ManagementFactory;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;

/** What the JVM does by signals: null checks, stack overflow, safepoints, asynchronous exceptions. */
public final class Faults {
    static final class Node {
        Node next;
        int value = 1;
    }

    static int walk(Node node, int steps) {
        int sum = 0;
        for (int i = 0; i < steps; i++) {
            sum += node.value;
            node = node.next;
        }
        return sum;
    }

    /** After warming up, the null check of `walk` is the fault of the load itself. */
    static void nulls(int rounds) {
        Node ring = new Node();
        ring.next = ring;
        Node end = new Node();
        int caught = 0;
        long sum = 0;
        for (int i = 0; i < rounds; i++) {
            sum += walk(ring, 20);
            if (i % 10 == 0) {
                try {
                    walk(end, 3);
                } catch (NullPointerException e) {
                    caught++;
                }
            }
        }
        System.out.println("nulls: " + caught + " " + sum);
    }

    static int depth(int n) {
        return n < 0 ? 0 : depth(n + 1) + 1;
    }

    static void overflows() throws Exception {
        int[] caught = new int[1];
        Runnable work = () -> {
            for (int i = 0; i < 5; i++) {
                try {
                    depth(0);
                } catch (StackOverflowError e) {
                    caught[0]++;
                }
            }
        };
        work.run();
        Thread thread = new Thread(null, work, "deep", 512 << 10);
        thread.start();
        thread.join();
        System.out.println("overflows: " + caught[0]);
    }

    static int divisions(int zero) {
        int caught = 0;
        for (int i = 0; i < 20000; i++) {
            try {
                caught += i % 100 == 0 ? i / zero : 0;
            } catch (ArithmeticException e) {
                caught++;
            }
        }
        return caught;
    }

    /** Threads in loops, and somebody who stops them all the time. */
    static void safepoints(int threads) throws Exception {
        AtomicLong total = new AtomicLong();
        ExecutorService pool = Executors.newFixedThreadPool(threads);
        List<Future<Long>> results = new ArrayList<>();
        CountDownLatch begun = new CountDownLatch(threads);
        for (int t = 0; t < threads; t++) {
            final int seed = t;
            results.add(pool.submit(() -> {
                begun.countDown();
                long sum = seed;
                List<byte[]> kept = new ArrayList<>();
                for (int i = 0; i < 3000000; i++) {
                    sum += i ^ seed;
                    if (i % 30000 == 0) {
                        kept.add(new byte[10000]);
                        if (kept.size() > 20) {
                            kept.clear();
                        }
                    }
                }
                total.addAndGet(sum & 0xffff);
                return sum;
            }));
        }
        begun.await();
        for (int i = 0; i < 10; i++) {
            System.gc();
            Thread.getAllStackTraces();
        }
        long sum = 0;
        for (Future<Long> result : results) {
            sum += result.get();
        }
        pool.shutdown();
        pool.awaitTermination(60, TimeUnit.SECONDS);
        System.out.println("safepoints: " + sum + " " + total);
    }

    static void programs() throws Exception {
        for (int i = 0; i < 3; i++) {
            Process process = new ProcessBuilder("cat").redirectErrorStream(true).start();
            process.getOutputStream().write(("line " + i + "\n").getBytes());
            process.getOutputStream().close();
            System.out.print(new String(process.getInputStream().readAllBytes()));
            System.out.println("status: " + process.waitFor());
        }
        Process killed = new ProcessBuilder("sleep", "1000").start();
        killed.destroy();
        System.out.println("killed: " + killed.waitFor());
    }

    static void signals() throws Exception {
        CountDownLatch came = new CountDownLatch(5);
        sun.misc.Signal.handle(new sun.misc.Signal("USR2"), s -> came.countDown());
        for (int i = 0; i < 5; i++) {
            long before = came.getCount();
            sun.misc.Signal.raise(new sun.misc.Signal("USR2"));
            while (came.getCount() == before) {
                Thread.sleep(1);
            }
        }
        System.out.println("signals: " + came.await(60, TimeUnit.SECONDS));
    }

    public static void main(String[] words) throws Exception {
        if (words.length > 0 && words[0].equals("wait")) {
            Runtime.getRuntime().addShutdownHook(new Thread(() -> System.out.println("hook")));
            System.out.println("pid " + ProcessHandle.current().pid());
            Thread.sleep(120000);
            return;
        }
        int rounds = words.length > 0 ? Integer.parseInt(words[0]) : 100000;
        nulls(rounds);
        overflows();
        System.out.println("divisions: " + divisions(words.length - words.length));
        safepoints(4);
        programs();
        signals();
        System.out.println(ManagementFactory.getRuntimeMXBean().getVmName().isEmpty() ? "" : "end");
        Runtime.getRuntime().addShutdownHook(new Thread(() -> System.out.println("hook")));
        if (words.length > 1) {
            sun.misc.Signal.raise(new sun.misc.Signal("TERM"));
            Thread.sleep(120000);
        }
    }
}
