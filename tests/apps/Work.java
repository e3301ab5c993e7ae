import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.HexFormat;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.IntStream;

/** Threads, files, a hash, garbage and a null pointer (which the JVM learns of by SIGSEGV). */
public class Work {
    static int length(String text) {
        return text.length();
    }

    public static void main(String[] arguments) throws Exception {
        var pool = Executors.newFixedThreadPool(8);
        var sums = new java.util.ArrayList<Future<Long>>();
        for (int n = 0; n < 50; n++) {
            int limit = 10000 + n;
            sums.add(pool.submit(() -> IntStream.range(0, limit).mapToLong(i -> (long) i * i).sum()));
        }
        long total = 0;
        for (var sum : sums) total += sum.get();
        pool.shutdown();
        System.out.println(total);

        var file = Path.of("data");
        Files.writeString(file, "line\n".repeat(100000));
        var digest = MessageDigest.getInstance("SHA-256").digest(Files.readAllBytes(file));
        System.out.println(HexFormat.of().formatHex(digest) + " " + Files.lines(file).count());

        byte[][] kept = new byte[100][];
        for (int i = 0; i < 20000; i++) kept[i % 100] = new byte[10000];
        System.out.println(kept[99].length);

        int caught = 0, length = 0;
        for (int i = 0; i < 200000; i++) length += length("warm " + i % 10);
        for (int i = 0; i < 1000; i++) {
            try {
                length += length(i < 0 ? "" : null);
            } catch (NullPointerException expected) {
                caught++;
            }
        }
        System.out.println(caught + " " + length);
    }
}
