package io.forebay.app.hosts;

import io.forebay.core.error.ForebayException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Several hosts on this machine, each a network namespace with a NIC of a known speed: a veth pair
 * into a bridge that has a namespace of its own, with a token bucket at both ends (what a host
 * sends, and what it receives). Needs root, iproute2 and a kernel with tbf. Closing removes all of
 * it, and so does the end of this JVM; what a JVM that was killed left is removed by the next one.
 */
public final class ShapedHosts implements AutoCloseable {
  /** No limit to a NIC's speed but the machine's. */
  public static final int UNSHAPED = 0;

  private static final Pattern NAMESPACE = Pattern.compile("(fb([0-9a-z]{1,5})(?:h[0-9]|sw))\\b.*");

  private final String prefix;
  private final String subnet;
  private final int count;
  private final Thread reaper;

  /**
   * Makes hosts whose NICs are alike.
   *
   * @param count 2–9
   * @param megabitsPerSecond of each NIC, each way; or {@link #UNSHAPED}
   */
  public ShapedHosts(int count, int megabitsPerSecond) {
    this(Collections.nCopies(count, megabitsPerSecond));
  }

  /**
   * Makes the hosts.
   *
   * @param megabitsPerSecond of each host's NIC, each way, for 2–9 hosts; or {@link #UNSHAPED}
   */
  public ShapedHosts(List<Integer> megabitsPerSecond) {
    long pid = ProcessHandle.current().pid();
    // In base 36, because a device's name has at most 15 characters.
    this.prefix = "fb" + Long.toString(pid, 36);
    this.subnet = "10.231." + (pid % 254 + 1) + ".";
    this.count = megabitsPerSecond.size();
    this.reaper = new Thread(this::remove, "shaped-hosts-reaper");
    Runtime.getRuntime().addShutdownHook(reaper);
    try {
      removeLeftovers();
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
        if (megabitsPerSecond.get(i) != UNSHAPED) {
          shape("add", i, megabitsPerSecond.get(i));
        }
      }
    } catch (RuntimeException failure) {
      close();
      throw failure;
    }
  }

  /** Whether hosts can be made here: this user is root, and there is iproute2. */
  public static boolean possible() {
    try {
      run("ip", "netns", "list");
      return run("id", "-u").strip().equals("0");
    } catch (ForebayException absent) {
      return false;
    }
  }

  /**
   * Connects this process' own namespace with the hosts, by a NIC without a limit, so that it
   * reaches their addresses. Once.
   */
  public void join() {
    String port = prefix + "po";
    run(
        "ip",
        "link",
        "add",
        prefix + "o",
        "type",
        "veth",
        "peer",
        "name",
        port,
        "netns",
        prefix + "sw");
    run("ip", "addr", "add", outside() + "/24", "dev", prefix + "o");
    run("ip", "link", "set", prefix + "o", "up");
    in(prefix + "sw", "ip", "link", "set", port, "master", "br0", "up");
  }

  private static void removeLeftovers() {
    for (String line : run("ip", "netns", "list").lines().toList()) {
      Matcher name = NAMESPACE.matcher(line);
      if (name.matches() && ProcessHandle.of(Long.parseLong(name.group(2), 36)).isEmpty()) {
        remove(name.group(1));
      }
    }
  }

  /**
   * Gives host i's NIC another speed.
   *
   * @param megabitsPerSecond each way; it must have had one before
   */
  public void speed(int i, int megabitsPerSecond) {
    shape("change", i, megabitsPerSecond);
  }

  private void shape(String how, int i, int megabitsPerSecond) {
    shape(how, host(i), "eth0", megabitsPerSecond);
    shape(how, prefix + "sw", prefix + "p" + i, megabitsPerSecond);
  }

  private void shape(String how, String namespace, String device, int megabitsPerSecond) {
    // The burst holds 2 ms of traffic, at least 256 KiB: below that tbf cannot reach its rate with
    // 64 KiB
    // segments; the queue holds 20 ms.
    long burst = Math.max(256 << 10, megabitsPerSecond * 1_000_000L / 8 / 500);
    in(
        namespace,
        "tc",
        "qdisc",
        how,
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
    return subnet + (i + 1);
  }

  /** IPv4 address of this process' own namespace, once it has joined. */
  public String outside() {
    return subnet + "254";
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
    return Program.run(
        "network namespaces need root and iproute2 (Debian: apt-get install iproute2)", command);
  }

  @Override
  public void close() {
    remove();
    try {
      Runtime.getRuntime().removeShutdownHook(reaper);
    } catch (IllegalStateException ending) {
      // The hook runs, or has run; removing what is not there is nothing.
    }
  }

  private void remove() {
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
