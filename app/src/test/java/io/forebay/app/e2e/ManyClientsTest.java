package io.forebay.app.e2e;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static org.assertj.core.api.Assertions.assertThat;

import java.io.BufferedInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.Socket;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.zip.CRC32C;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * A server with little memory and many more clients than it has buffers for: fast ones, ones that
 * send slowly, and ones that read slowly, all at once. Each gets on, and none fails.
 */
class ManyClientsTest {
  private static final int WRITERS = 150;
  private static final int SLOW_WRITERS = 40;
  private static final int SLOW_READERS = 60;
  private static final int BODY = 6 << 20;

  @TempDir Path scratch;

  @Test
  void aSmallServerServesManyClientsWithoutFailingOne() throws Exception {
    try (OneNode node =
        new OneNode(
            scratch,
            List.of(),
            "data: " + scratch.resolve("disk0"),
            "segment: 64MiB",
            "memory: 224MiB")) {
      node.server().javaOptions("-Xmx256m -XX:MaxDirectMemorySize=256m");
      node.start();
      assertThat(node.put("/many", new byte[0]).statusCode()).isEqualTo(200);
      byte[] body = new byte[BODY];
      new Random(7).nextBytes(body);
      assertThat(node.put("/many/shared", body).statusCode()).isEqualTo(200);
      var failures = new ConcurrentLinkedQueue<String>();
      var clients = new ArrayList<Thread>();
      for (int i = 0; i < SLOW_READERS; i++) {
        clients.add(client(failures, "slow reader " + i, () -> read(node, "shared", body, 100)));
      }
      for (int i = 0; i < SLOW_WRITERS; i++) {
        String key = "slow-" + i;
        clients.add(client(failures, key, () -> write(node, key, body, 50)));
      }
      for (int i = 0; i < WRITERS; i++) {
        String key = "fast-" + i;
        clients.add(
            client(
                failures,
                key,
                () -> {
                  write(node, key, body, 0);
                  read(node, key, body, 0);
                }));
      }
      for (Thread each : clients) {
        each.join();
      }
      assertThat(failures).isEmpty();
      node.server().requireNoEndOfItsOwn();
      assertThat(node.server().log()).doesNotContain("OutOfMemory", "Exception");
      assertThat(node.get("/many?list-type=2").statusCode()).isEqualTo(200);
    }
  }

  private interface Work {
    void run() throws IOException, InterruptedException;
  }

  private static Thread client(ConcurrentLinkedQueue<String> failures, String name, Work work) {
    return Thread.ofVirtual()
        .name(name)
        .start(() -> {
          try {
            work.run();
          } catch (IOException | InterruptedException | AssertionError failure) {
            failures.add(name + ": " + failure);
          }
        });
  }

  private static Socket connect(OneNode node) throws IOException {
    int port = Integer.parseInt(node.s3().substring(node.s3().indexOf(':') + 1));
    var socket = new Socket(InetAddress.getLoopbackAddress(), port);
    socket.setSoTimeout(120_000);
    return socket;
  }

  /**
   * @param pauseMillis after each 256 KiB
   */
  private static void write(OneNode node, String key, byte[] body, int pauseMillis)
      throws IOException, InterruptedException {
    try (Socket socket = connect(node)) {
      OutputStream out = socket.getOutputStream();
      out.write(head("PUT", key, "Content-Length: " + body.length + "\r\n"));
      for (int sent = 0; sent < body.length; sent += 256 << 10) {
        out.write(body, sent, Math.min(256 << 10, body.length - sent));
        Thread.sleep(pauseMillis);
      }
      out.flush();
      String answer = new String(socket.getInputStream().readAllBytes(), ISO_8859_1);
      assertThat(answer).as("PUT %s", key).startsWith("HTTP/1.1 200 ");
    }
  }

  /**
   * @param pauseMillis after each 256 KiB
   */
  private static void read(OneNode node, String key, byte[] body, int pauseMillis)
      throws IOException, InterruptedException {
    try (Socket socket = connect(node)) {
      if (pauseMillis > 0) {
        socket.setReceiveBufferSize(64 << 10);
      }
      socket.getOutputStream().write(head("GET", key, ""));
      InputStream in = new BufferedInputStream(socket.getInputStream(), 64 << 10);
      var head = new StringBuilder();
      while (head.indexOf("\r\n\r\n") < 0) {
        int next = in.read();
        assertThat(next).as("GET %s: the answer ends in its head: %s", key, head).isNotNegative();
        head.append((char) next);
      }
      assertThat(head.toString()).as("GET %s", key).startsWith("HTTP/1.1 200 ");
      var crc = new CRC32C();
      var piece = new byte[256 << 10];
      int got = 0;
      for (int count = in.readNBytes(piece, 0, piece.length);
          count > 0;
          count = in.readNBytes(piece, 0, piece.length)) {
        crc.update(piece, 0, count);
        got += count;
        Thread.sleep(pauseMillis);
      }
      var wanted = new CRC32C();
      wanted.update(body);
      assertThat(got).as("GET %s", key).isEqualTo(body.length);
      assertThat(crc.getValue()).as("GET %s", key).isEqualTo(wanted.getValue());
    }
  }

  private static byte[] head(String method, String key, String headers) {
    return (method
            + " /many/"
            + key
            + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
            + headers
            + "\r\n")
        .getBytes(ISO_8859_1);
  }
}
