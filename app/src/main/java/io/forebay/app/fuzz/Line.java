package io.forebay.app.fuzz;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.util.Optional;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import javax.net.ssl.SSLContext;
import org.jspecify.annotations.Nullable;

/**
 * One connection whose bytes are all ours. What comes is read at once by a thread of its own, so
 * that a server that answers early is never kept waiting. Used by one thread.
 */
final class Line implements AutoCloseable {
  private static final int CONNECT_MILLIS = 10_000;
  private static final int BUFFER_BYTES = 64 << 10;

  /** More than any answer that is asked for here. */
  private static final int MAX_KEPT_BYTES = 32 << 20;

  private final Socket socket;
  private final ByteArrayOutputStream came = new ByteArrayOutputStream(); // guarded by itself
  private final CountDownLatch ended = new CountDownLatch(1);
  private final AtomicReference<@Nullable IOException> broken = new AtomicReference<>();

  private Line(Socket socket) throws IOException {
    this.socket = socket;
    InputStream in = socket.getInputStream();
    Thread.ofPlatform().daemon().name("fuzz-reader").start(() -> read(in));
  }

  /**
   * Connects.
   *
   * @param tls whom to trust, where TLS is spoken
   */
  static Line open(InetSocketAddress to, Optional<SSLContext> tls) throws IOException {
    var plain = new Socket();
    try {
      plain.setTcpNoDelay(true);
      plain.connect(to, CONNECT_MILLIS);
      return new Line(
          tls.isEmpty()
              ? plain
              : tls.get()
                  .getSocketFactory()
                  .createSocket(plain, to.getHostString(), to.getPort(), true));
    } catch (IOException failure) {
      plain.close();
      throw failure;
    }
  }

  private void read(InputStream in) {
    var buffer = new byte[BUFFER_BYTES];
    try {
      for (int count = in.read(buffer); count >= 0; count = in.read(buffer)) {
        synchronized (came) {
          if (came.size() < MAX_KEPT_BYTES) {
            came.write(buffer, 0, count);
          }
          came.notifyAll();
        }
      }
    } catch (IOException failure) {
      broken.set(failure);
    } finally {
      synchronized (came) {
        ended.countDown();
        came.notifyAll();
      }
    }
  }

  /** Sends; a server that has closed already is none of the sender's business. */
  void send(byte[] bytes) {
    try {
      socket.getOutputStream().write(bytes);
      socket.getOutputStream().flush();
    } catch (IOException closed) {
      broken.compareAndSet(null, closed);
    }
  }

  /** Says that no more will be sent. */
  void endOutput() {
    try {
      socket.shutdownOutput();
    } catch (IOException closed) {
      broken.compareAndSet(null, closed);
    }
  }

  /** Breaks the connection with a reset. */
  void reset() throws IOException {
    socket.setSoLinger(true, 0);
    socket.close();
  }

  /** Waits until so many bytes have come, or the end; whether they came. */
  boolean awaitBytes(int count, long millis) throws InterruptedException {
    long end = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(millis);
    synchronized (came) {
      while (came.size() < count && ended.getCount() > 0 && System.nanoTime() < end) {
        came.wait(Math.max(1, (end - System.nanoTime()) / 1_000_000));
      }
      return came.size() >= count;
    }
  }

  /** Waits until the server has closed its side; whether it has. */
  boolean awaitEnd(long millis) throws InterruptedException {
    return ended.await(millis, TimeUnit.MILLISECONDS);
  }

  /** What has come so far. */
  byte[] came() {
    synchronized (came) {
      return came.toByteArray();
    }
  }

  @Override
  public void close() throws IOException {
    socket.close();
  }
}
