package io.forebay.app.command;

import io.forebay.app.config.Size;
import java.io.Console;
import java.io.PrintStream;
import java.util.Locale;
import java.util.Optional;

/** A progress bar on a terminal; on anything else nothing but a last line. Used by one thread. */
public final class Progress implements AutoCloseable {
  private static final long REDRAW_NANOS = 100_000_000L;
  private static final int WIDTH = 30;

  private final PrintStream out;
  private final String what;
  private final long totalBytes;
  private final boolean live;
  private final long startNanos = System.nanoTime();
  private long doneBytes;
  private long drawnNanos;
  private String note = "";

  /**
   * @param totalBytes 0 when unknown
   */
  public Progress(PrintStream out, String what, long totalBytes) {
    this.out = out;
    this.what = what;
    this.totalBytes = totalBytes;
    this.live = Optional.ofNullable(System.console()).filter(Console::isTerminal).isPresent();
  }

  /** So many more bytes are done. */
  public void add(long bytes) {
    doneBytes += bytes;
    redraw(false);
  }

  /** Shows a few words behind the bar. */
  public void note(String words) {
    note = words;
    redraw(true);
  }

  private void redraw(boolean now) {
    long nanos = System.nanoTime();
    if (live && (now || nanos - drawnNanos >= REDRAW_NANOS)) {
      drawnNanos = nanos;
      out.print("\r\u001b[2K" + line());
      out.flush();
    }
  }

  private String line() {
    double seconds = Math.max(1e-3, (System.nanoTime() - startNanos) / 1e9);
    String rate = Size.format((long) (doneBytes / seconds)) + "/s";
    if (totalBytes <= 0) {
      return String.format(Locale.ROOT, "%s  %s  %s  %s", what, Size.format(doneBytes), rate, note);
    }
    int filled = (int) (WIDTH * Math.min(doneBytes, totalBytes) / totalBytes);
    return String.format(
        Locale.ROOT,
        "%s  [%s%s] %3d%%  %s of %s  %s  %s",
        what,
        "#".repeat(filled),
        ".".repeat(WIDTH - filled),
        100 * Math.min(doneBytes, totalBytes) / totalBytes,
        Size.format(doneBytes),
        Size.format(totalBytes),
        rate,
        note);
  }

  @Override
  public void close() {
    if (live) {
      out.print("\r\u001b[2K");
    }
    // What ended early has its own last word.
    if (totalBytes <= 0 || doneBytes >= totalBytes) {
      out.println(line());
    }
  }
}
