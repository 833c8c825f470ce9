package io.forebay.app.config;

import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.UnknownHostException;

/** Network addresses as settings: {@code HOST:PORT}, IPv6 hosts in brackets. */
public final class Addresses {
  private Addresses() {}

  /** Whether the text names a host and a port from 0 to 65,535. */
  public static boolean isValid(String text) {
    int colon = text.lastIndexOf(':');
    if (colon < 1 || (text.indexOf(':') != colon && !text.startsWith("["))) {
      return false;
    }
    try {
      int port = Integer.parseInt(text.substring(colon + 1));
      return port >= 0 && port <= 65_535;
    } catch (NumberFormatException failure) {
      return false;
    }
  }

  /** The socket address; the host is looked up. */
  public static InetSocketAddress parse(String text) {
    return new InetSocketAddress(host(text), port(text));
  }

  /** The host, without brackets. */
  public static String host(String text) {
    String host = text.substring(0, text.lastIndexOf(':'));
    return host.startsWith("[") && host.endsWith("]") ? host.substring(1, host.length() - 1) : host;
  }

  /** The port. */
  public static int port(String text) {
    return Integer.parseInt(text.substring(text.lastIndexOf(':') + 1));
  }

  /** Whether the host is this machine's loopback. */
  public static boolean isLoopback(String text) {
    try {
      return InetAddress.getByName(host(text)).isLoopbackAddress();
    } catch (UnknownHostException failure) {
      return false;
    }
  }
}
