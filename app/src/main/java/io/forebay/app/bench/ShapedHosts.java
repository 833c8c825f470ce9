package io.forebay.app.bench;

import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

/**
 * Several hosts on this machine, each a network namespace with a NIC of a known speed: a veth pair
 * into a bridge that has a namespace of its own, with a token bucket at both ends (what a host
 * sends, and what it receives). Needs root, iproute2 and a kernel with tbf. Closing removes all of
 * it.
 */
public final class ShapedHosts implements AutoCloseable {
  private static final String SUBNET = "10.231.77.";

  private final String prefix;
  private final int count;

  /**
   * Makes the hosts.
   *
   * @param count 2–9
   * @param megabitsPerSecond of each NIC, each way
   */
  public ShapedHosts(int count, int megabitsPerSecond) {
    this.prefix = "fb" + ProcessHandle.current().pid() % 100_000;
    this.count = count;
    try {
      run("ip", "netns", "add", prefix + "sw");
      in(prefix + "sw", "ip", "link", "add", "br0", "type", "bridge");
      in(prefix + "sw", "ip", "link", "set", "br0", "up");
      for (int i = 0; i < count; i++) {
        String host = host(i);
        String port = prefix + "p" + i;
        run("ip", "netns", "add", host);
        run(
            "ip",
            "-n",
            host,
            "link",
            "add",
            "eth0",
            "type",
            "veth",
            "peer",
            "name",
            port,
            "netns",
            prefix + "sw");
        in(host, "ip", "addr", "add", address(i) + "/24", "dev", "eth0");
        in(host, "ip", "link", "set", "eth0", "up");
        in(host, "ip", "link", "set", "lo", "up");
        in(prefix + "sw", "ip", "link", "set", port, "master", "br0", "up");
        shape(host, "eth0", megabitsPerSecond);
        shape(prefix + "sw", port, megabitsPerSecond);
      }
    } catch (RuntimeException failure) {
      close();
      throw failure;
    }
  }

  private void shape(String namespace, String device, int megabitsPerSecond) {
    // The burst holds 2 ms of traffic, at least 256 KiB: below that tbf cannot reach its rate with
    // 64 KiB
    // segments; the queue holds 20 ms.
    long burst = Math.max(256 << 10, megabitsPerSecond * 1_000_000L / 8 / 500);
    in(
        namespace,
        "tc",
        "qdisc",
        "add",
        "dev",
        device,
        "root",
        "tbf",
        "rate",
        megabitsPerSecond + "mbit",
        "burst",
        Long.toString(burst),
        "latency",
        "20ms");
  }

  /** Name of the namespace of host i. */
  public String host(int i) {
    return prefix + "h" + i;
  }

  /** IPv4 address of host i. */
  public String address(int i) {
    return SUBNET + (i + 1);
  }

  /** What to put before a command so that it runs on host i. */
  public List<String> on(int i) {
    return List.of("ip", "netns", "exec", host(i));
  }

  /** Bytes that host i has sent through its NIC, with all headers. */
  public long sentBytes(int i) {
    return counter(i, "tx_bytes");
  }

  /** Bytes that host i has received through its NIC, with all headers. */
  public long receivedBytes(int i) {
    return counter(i, "rx_bytes");
  }

  private long counter(int i, String name) {
    return Long.parseLong(in(host(i), "cat", "/sys/class/net/eth0/statistics/" + name).strip());
  }

  /**
   * Drops everything that host i sends and receives: the link is a black hole, no RST and no FIN.
   */
  public void blackHole(int i, boolean on) {
    in(
        prefix + "sw",
        "ip",
        "link",
        "set",
        prefix + "p" + i,
        on ? "nomaster" : "master",
        on ? "" : "br0");
  }

  private String in(String namespace, String... command) {
    var full = new ArrayList<>(List.of("ip", "netns", "exec", namespace));
    for (String word : command) {
      if (!word.isEmpty()) {
        full.add(word);
      }
    }
    return run(full.toArray(String[]::new));
  }

  private static String run(String... command) {
    try {
      Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
      String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
      if (process.waitFor() != 0) {
        throw new ForebayException(
            ErrorCode.CONFIGURATION,
            "network namespaces need root and iproute2; '"
                + String.join(" ", command)
                + "' failed: "
                + output.strip());
      }
      return output;
    } catch (IOException failure) {
      throw new ForebayException(
          ErrorCode.CONFIGURATION,
          "network namespaces need iproute2 (Debian: apt-get install iproute2): "
              + failure.getMessage());
    } catch (InterruptedException failure) {
      Thread.currentThread().interrupt();
      throw new ForebayException(ErrorCode.CANCELLED, "interrupted while running " + command[0]);
    }
  }

  @Override
  public void close() {
    for (int i = 0; i < count; i++) {
      remove(host(i));
    }
    remove(prefix + "sw");
  }

  private static void remove(String namespace) {
    try {
      run("ip", "netns", "del", namespace);
    } catch (ForebayException absent) {
      // A constructor that failed half-way closes what it has made; what it had not made is not
      // there.
    }
  }
}
