package io.forebay.backing.http;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpHandler;
import com.sun.net.httpserver.HttpServer;
import java.io.Closeable;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Executors;

/** Small real servers that misbehave as they are told to, and note what they were asked. */
public final class FaultServer implements Closeable {
  private static final String MODIFIED = "Tue, 24 Nov 2026 10:00:00 GMT";

  private final List<String> requests = new CopyOnWriteArrayList<>();
  private final List<Closeable> opened = new ArrayList<>();

  /** Method and URI of each request, or its head where nothing understands it. */
  public List<String> requests() {
    return requests;
  }

  /** A server that answers so, when a request has come in whole; returns its endpoint. */
  public String serve(HttpHandler handler) throws IOException {
    HttpServer server =
        HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
    server.setExecutor(Executors.newVirtualThreadPerTaskExecutor());
    server.createContext(
        "/",
        exchange -> {
          byte[] body = exchange.getRequestBody().readAllBytes();
          exchange.setAttribute("body", body);
          requests.add(exchange.getRequestMethod() + " " + exchange.getRequestURI());
          handler.handle(exchange);
        });
    server.start();
    opened.add(() -> server.stop(0));
    return "http://127.0.0.1:" + server.getAddress().getPort();
  }

  /** The endpoint of a port at which nobody listens. */
  public static String nobody() throws IOException {
    try (ServerSocket free = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      return "http://127.0.0.1:" + free.getLocalPort();
    }
  }

  /** The headers of something that was stored or is read. */
  public static void describe(HttpExchange exchange, String etag) {
    exchange.getResponseHeaders().add("ETag", '"' + etag + '"');
    exchange.getResponseHeaders().add("Last-Modified", MODIFIED);
  }

  /** A part of an object, of which only so many bytes come before the handler goes on. */
  public static void part(HttpExchange exchange, String range, String etag, int length, int sent)
      throws IOException {
    describe(exchange, etag);
    exchange.getResponseHeaders().add("Content-Range", range);
    exchange.sendResponseHeaders(206, length);
    exchange.getResponseBody().write(new byte[sent]);
    exchange.getResponseBody().flush();
  }

  public static void hold(CountDownLatch until) {
    try {
      until.await();
    } catch (InterruptedException stop) {
      Thread.currentThread().interrupt();
    }
  }

  /**
   * A server that answers the second request of all, whose body is empty, and ends each connection
   * after any other; returns its endpoint.
   *
   * @param reset how it ends them
   * @param status its answer's first line, without the version
   */
  public String cutting(boolean reset, String status) throws IOException {
    ServerSocket server = new ServerSocket(0, 8, InetAddress.getLoopbackAddress());
    opened.add(server);
    Thread.ofVirtual()
        .start(() -> {
          while (!server.isClosed()) {
            try {
              // Each in a thread of its own: a client may open a connection and not use it.
              Socket socket = server.accept();
              Thread.ofVirtual().start(() -> cutAfterRequests(socket, reset, status));
            } catch (IOException closed) {
              return; // by the test's end
            }
          }
        });
    return "http://127.0.0.1:" + server.getLocalPort();
  }

  private void cutAfterRequests(Socket accepted, boolean reset, String status) {
    String answer =
        "HTTP/1.1 %s\r\nETag: \"0x1\"\r\nLast-Modified: %s\r\nContent-Length: 0\r\n\r\n"
            .formatted(status, MODIFIED);
    try (Socket socket = accepted) {
      socket.setSoLinger(reset, 0);
      for (boolean open = true; open; ) {
        requests.add(head(socket.getInputStream()));
        open = requests.size() == 2;
        if (open) {
          socket.getOutputStream().write(answer.getBytes(StandardCharsets.US_ASCII));
        }
      }
    } catch (IOException closed) {
      // A client that lets go of a connection.
    }
  }

  private static String head(InputStream in) throws IOException {
    var head = new StringBuilder();
    while (head.indexOf("\r\n\r\n") < 0) {
      int next = in.read();
      if (next < 0) {
        throw new IOException("closed after '" + head + "'");
      }
      head.append((char) next);
    }
    return head.toString();
  }

  /**
   * A server that reads a byte of its one request, and the rest only when it is let.
   *
   * @param received what it then got
   */
  public String reluctant(CountDownLatch until, CompletableFuture<Received> received)
      throws IOException {
    ServerSocket server = new ServerSocket();
    opened.add(server);
    server.setReceiveBufferSize(16 << 10);
    server.bind(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0));
    Thread.ofVirtual()
        .start(() -> {
          try (Socket socket = server.accept()) {
            InputStream in = socket.getInputStream();
            int first = in.read();
            until.await();
            received.complete(receivedBy(in, first));
          } catch (Exception failure) {
            received.completeExceptionally(failure);
          }
        });
    return "http://127.0.0.1:" + server.getLocalPort();
  }

  /** How many bytes 1 and 2 came until the connection ended, or was reset. */
  public record Received(long ones, long twos, boolean reset) {}

  private static Received receivedBy(InputStream in, int first) {
    long ones = first == 1 ? 1 : 0;
    long twos = first == 2 ? 1 : 0;
    byte[] buffer = new byte[64 << 10];
    try {
      for (int count = in.read(buffer); count >= 0; count = in.read(buffer)) {
        for (int i = 0; i < count; i++) {
          ones += buffer[i] == 1 ? 1 : 0;
          twos += buffer[i] == 2 ? 1 : 0;
        }
      }
      return new Received(ones, twos, false);
    } catch (IOException reset) {
      return new Received(ones, twos, true);
    }
  }

  @Override
  public void close() throws IOException {
    for (Closeable each : opened.reversed()) {
      each.close();
    }
  }
}
