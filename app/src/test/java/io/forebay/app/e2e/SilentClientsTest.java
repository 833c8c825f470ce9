package io.forebay.app.e2e;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.management.UnixOperatingSystemMXBean;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Clients that connect, and then say nothing. */
@Tag("e2e")
final class SilentClientsTest {
  private static final int WANTED = 10_000;

  /** What this JVM and the server's need beside: their own files, and clients that do speak. */
  private static final int OTHER_FILES = 1_000;

  /** Sockets, pipelines and timers of one connection, on the heap or beside it, with room. */
  private static final long BYTES_EACH = 24 << 10;

  @TempDir private Path temp;

  @Test
  void tenThousandSilentConnectionsAreBoundedInMemoryAndClosedWhileOthersAreServed()
      throws Exception {
    var system = (UnixOperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
    // The JVM raises its own limit to the hard one; the server's has the same.
    int count = (int) Math.min(WANTED, system.getMaxFileDescriptorCount() - OTHER_FILES);
    System.out.println(
        "silent connections: " + count + " (of " + WANTED + " by the limit of files)");
    assertThat(count).isGreaterThan(2_000);
    try (var node = new OneNode(temp.resolve("a"), List.of(), "data: \"" + temp + "/disk\"");
        var all = new Connections()) {
      String config = Files.readString(node.config());
      Files.writeString(
          node.config(),
          config.replace(", anonymous: true", ", anonymous: true, idle: 8s, connections: 11000"));
      node.start();
      assertThat(node.put("/silent", new byte[0]).statusCode()).isEqualTo(200);
      byte[] body = new byte[3 << 20];
      new Random(7).nextBytes(body);
      for (int i = 0; i < 20; i++) {
        serve(node, "/silent/before" + i % 3, body);
      }
      long before = residentBytes(node);
      all.open(node.s3(), count);
      // Connections are taken in the order in which they came: this one's answer says that all are.
      assertThat(node.get("/silent?list-type=2").statusCode()).isEqualTo(200);
      assertThat(residentBytes(node) - before)
          .as("bytes that %d connections cost", count)
          .isLessThan(count * BYTES_EACH);
      for (int i = 0; i < 5; i++) {
        serve(node, "/silent/meanwhile" + i, body);
      }
      all.awaitClosed(30);
      serve(node, "/silent/after", body);
      node.server().requireNoEndOfItsOwn();
      assertThat(node.server().log()).doesNotContain(" ERROR ");
    }
  }

  private static void serve(OneNode node, String key, byte[] body) throws Exception {
    assertThat(node.put(key, body).statusCode()).isEqualTo(200);
    assertThat(node.get(key).body()).isEqualTo(body);
  }

  private static long residentBytes(OneNode node) throws IOException {
    for (String line : Files.readAllLines(Path.of("/proc/" + node.server().pid() + "/status"))) {
      if (line.startsWith("VmRSS:")) {
        return Long.parseLong(line.replaceAll("[^0-9]", "")) << 10;
      }
    }
    throw new AssertionError("the server's memory is not told");
  }

  private static final class Connections implements AutoCloseable {
    private final List<SocketChannel> channels = new ArrayList<>();
    private final Selector selector;

    Connections() throws IOException {
      selector = Selector.open();
    }

    void open(String address, int count) throws IOException {
      int colon = address.lastIndexOf(':');
      var to =
          new InetSocketAddress(
              address.substring(0, colon), Integer.parseInt(address.substring(colon + 1)));
      for (int i = 0; i < count; i++) {
        SocketChannel channel = SocketChannel.open(to);
        channels.add(channel);
        channel.configureBlocking(false);
        channel.register(selector, SelectionKey.OP_READ);
      }
    }

    /** Waits until the server has closed every one, without having said a word. */
    void awaitClosed(int seconds) {
      int[] open = {channels.size()};
      ServerProcess.await(
          "the silent connections are closed",
          seconds,
          () -> {
            try {
              selector.select(
                  key -> {
                    try {
                      assertThat(((SocketChannel) key.channel()).read(ByteBuffer.allocate(1)))
                          .isEqualTo(-1);
                      key.channel().close();
                      open[0]--;
                    } catch (IOException reset) {
                      throw new AssertionError("a silent connection was reset", reset);
                    }
                  },
                  100);
            } catch (IOException failure) {
              throw new AssertionError(failure);
            }
            return open[0] == 0;
          });
    }

    @Override
    public void close() throws IOException {
      for (SocketChannel channel : channels) {
        channel.close();
      }
      selector.close();
    }
  }
}
