package io.forebay.app.chaos;

import com.google.errorprone.annotations.FormatMethod;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.LocalTime;
import java.time.ZoneOffset;
import java.util.concurrent.locks.ReentrantLock;

/** What happened, line by line with its time (UTC), in a file. Safe for all threads. */
final class Story {
  private final Path file;
  private final ReentrantLock lock = new ReentrantLock();
  private volatile String lastSaid = "";

  Story(Path file) {
    this.file = file;
  }

  /** For whoever looks into the file. */
  @FormatMethod
  void tell(String format, Object... facts) {
    write(format.formatted(facts));
  }

  /** For whoever watches, too. */
  @FormatMethod
  void say(String format, Object... facts) {
    String said = format.formatted(facts);
    lastSaid = said;
    write(said);
  }

  private void write(String told) {
    lock.lock();
    try {
      Files.writeString(
          file,
          LocalTime.now(ZoneOffset.UTC) + " " + told + "\n",
          StandardOpenOption.CREATE,
          StandardOpenOption.APPEND);
    } catch (IOException failure) {
      throw new Violation("the story cannot be written to " + file + ": " + failure, failure);
    } finally {
      lock.unlock();
    }
  }

  /** What was said last. */
  String lastSaid() {
    return lastSaid;
  }

  Path file() {
    return file;
  }
}
