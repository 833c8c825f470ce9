package io.forebay.app.bench;

import java.io.ByteArrayOutputStream;
import java.io.Closeable;
import java.io.EOFException;
import java.io.IOException;
import java.net.Socket;
import java.net.StandardSocketOptions;
import java.nio.ByteBuffer;
import java.nio.channels.Channels;
import java.nio.channels.GatheringByteChannel;
import java.nio.channels.ReadableByteChannel;
import java.nio.channels.SocketChannel;
import java.nio.channels.WritableByteChannel;
import java.nio.charset.StandardCharsets;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * One HTTP/1.1 connection that stays open, for measuring: a blocking socket, requests made
 * beforehand, bodies read and thrown away. Answers must have a Content-Length. Used by one thread.
 */
final class HttpLine implements Closeable {
  private static final int BUFFER_BYTES = 256 << 10;
  private static final int MAX_HEAD_BYTES = 16 << 10;

  private final Closeable socket;
  private final ReadableByteChannel source;
  private final WritableByteChannel sink;
  private final ByteBuffer in = ByteBuffer.allocateDirect(BUFFER_BYTES).flip();
  private final byte[] head = new byte[MAX_HEAD_BYTES];
  private int headBytes;

  HttpLine(HttpEnd to) throws IOException {
    SocketChannel channel = SocketChannel.open();
    try {
      channel.setOption(StandardSocketOptions.TCP_NODELAY, true);
      channel.connect(to.address());
      if (to.tls().isEmpty()) {
        socket = channel;
        source = channel;
        sink = channel;
      } else {
        Socket secure =
            to.tls()
                .get()
                .getSocketFactory()
                .createSocket(
                    channel.socket(), to.address().getHostString(), to.address().getPort(), true);
        socket = secure;
        source = Channels.newChannel(secure.getInputStream());
        sink = Channels.newChannel(secure.getOutputStream());
      }
    } catch (IOException failure) {
      channel.close();
      throw failure;
    }
  }

  /** A request's head, for {@link #exchange}: the request line and its headers. */
  static byte[] head(String method, String target, String host, String... headers) {
    var text = new StringBuilder(512);
    text.append(method).append(' ').append(target).append(" HTTP/1.1\r\nHost: ").append(host);
    for (String header : headers) {
      text.append("\r\n").append(header);
    }
    return text.append("\r\n\r\n").toString().getBytes(StandardCharsets.ISO_8859_1);
  }

  /**
   * Sends a request and reads its whole answer.
   *
   * @param body sent after the head; its position is moved
   * @param bodyless whether the answer has no body although it announces one, as to HEAD
   * @param keep gets the answer's body; null: thrown away
   * @return bytes of the answer's body
   * @throws IOException when the status is another one than is wanted, or the connection breaks
   */
  long exchange(
      byte[] request,
      @Nullable ByteBuffer body,
      int wantedStatus,
      boolean bodyless,
      @Nullable ByteArrayOutputStream keep)
      throws IOException {
    ByteBuffer first = ByteBuffer.wrap(request);
    if (body != null && sink instanceof GatheringByteChannel together) {
      ByteBuffer[] both = {first, body};
      while (first.hasRemaining() || body.hasRemaining()) {
        together.write(both);
      }
    } else {
      send(first);
      if (body != null) {
        send(body);
      }
    }
    readHead();
    int status = status();
    long length = bodyless ? 0 : Long.parseLong(header("content-length", "0"));
    boolean wanted = status == wantedStatus || (wantedStatus == ANY_SUCCESS && status / 100 == 2);
    var told = wanted ? keep : new ByteArrayOutputStream();
    readBody(length, told);
    if (!wanted) {
      throw new IOException(
          new String(request, 0, Math.min(request.length, 200), StandardCharsets.ISO_8859_1)
              + "... was answered with "
              + status
              + " "
              + (told == null ? "" : told.toString(StandardCharsets.UTF_8)));
    }
    return length;
  }

  private void send(ByteBuffer bytes) throws IOException {
    while (bytes.hasRemaining()) {
      sink.write(bytes);
    }
  }

  /** For {@link #exchange}: any status from 200 to 299. */
  static final int ANY_SUCCESS = 2;

  /** Bytes of the last answer's head. */
  int headBytes() {
    return headBytes;
  }

  /** A header of the last answer. */
  String header(String lowerCaseName, String otherwise) {
    int at = 0;
    while (at < headBytes) {
      int end = at;
      while (head[end] != '\n') {
        end++;
      }
      if (end - at > lowerCaseName.length()
          && head[at + lowerCaseName.length()] == ':'
          && new String(head, at, lowerCaseName.length(), StandardCharsets.ISO_8859_1)
              .toLowerCase(Locale.ROOT)
              .equals(lowerCaseName)) {
        int from = at + lowerCaseName.length() + 1;
        return new String(head, from, end - from, StandardCharsets.ISO_8859_1).strip();
      }
      at = end + 1;
    }
    return otherwise;
  }

  private int status() throws IOException {
    if (headBytes < 13 || head[0] != 'H') {
      throw new IOException("what came is no HTTP answer");
    }
    return (head[9] - '0') * 100 + (head[10] - '0') * 10 + (head[11] - '0');
  }

  private void readHead() throws IOException {
    headBytes = 0;
    while (true) {
      while (in.hasRemaining()) {
        if (headBytes == MAX_HEAD_BYTES) {
          throw new IOException("an answer's head has more than " + MAX_HEAD_BYTES + " bytes");
        }
        byte b = in.get();
        head[headBytes++] = b;
        if (b == '\n' && headBytes >= 4 && head[headBytes - 3] == '\n') {
          return;
        }
      }
      fill();
    }
  }

  private void readBody(long length, @Nullable ByteArrayOutputStream keep) throws IOException {
    long left = length;
    while (left > 0) {
      if (!in.hasRemaining()) {
        fill();
      }
      int count = (int) Math.min(left, in.remaining());
      if (keep != null) {
        var copy = new byte[count];
        in.get(in.position(), copy);
        keep.writeBytes(copy);
      }
      in.position(in.position() + count);
      left -= count;
    }
  }

  private void fill() throws IOException {
    in.clear();
    int count = source.read(in);
    in.flip();
    if (count < 0) {
      throw new EOFException("the server has closed the connection in the middle of an answer");
    }
  }

  @Override
  public void close() throws IOException {
    socket.close();
  }
}
