package io.forebay.app.bench;

import java.io.IOException;
import java.net.InetSocketAddress;
import java.util.Optional;
import javax.net.ssl.SSLContext;

/**
 * A server that is measured.
 *
 * @param tls whom to trust, where TLS is spoken
 */
record HttpEnd(InetSocketAddress address, Optional<SSLContext> tls) {
  static HttpEnd plain(InetSocketAddress address) {
    return new HttpEnd(address, Optional.empty());
  }

  /** A new connection. */
  HttpLine open() throws IOException {
    return new HttpLine(this);
  }
}
