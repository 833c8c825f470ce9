package io.forebay.app.command;

import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.util.Optional;

/**
 * The standard output, which knows why it could not be written: of {@code System.out} one learns
 * that it failed, when all is done, and not whether a disk is full or {@code head} has read enough.
 */
public final class StandardOutput extends OutputStream {
  private static final StandardOutput OUT = new StandardOutput();

  private final FileOutputStream out = new FileOutputStream(FileDescriptor.out);
  private volatile Optional<IOException> failure = Optional.empty();

  private StandardOutput() {}

  /** Has {@code System.out} go through here. */
  public static StandardOutput install() {
    System.setOut(new PrintStream(OUT, true, System.out.charset()));
    return OUT;
  }

  /** For bodies: fails where a write does. Not to be closed. */
  static OutputStream raw() {
    System.out.flush();
    return OUT;
  }

  /** Why something could not be written. */
  public Optional<IOException> failure() {
    return failure;
  }

  /** Whether whoever reads wants no more, as {@code head} does. */
  public static boolean isEnough(IOException failure) {
    return String.valueOf(failure.getMessage()).contains("Broken pipe");
  }

  @Override
  public void write(int b) throws IOException {
    write(new byte[] {(byte) b}, 0, 1);
  }

  @Override
  public void write(byte[] bytes, int offset, int length) throws IOException {
    try {
      out.write(bytes, offset, length);
    } catch (IOException unwritten) {
      failure = failure.or(() -> Optional.of(unwritten));
      throw unwritten;
    }
  }
}
