package io.forebay.app.server;

import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.gateway.http.SelfSigned;
import io.forebay.gateway.http.TlsIdentity;
import java.io.IOException;
import java.net.InetAddress;
import java.net.NetworkInterface;
import java.net.UnknownHostException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.security.cert.CertificateParsingException;
import java.security.cert.X509Certificate;
import java.time.Instant;
import java.util.Collection;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A certificate that nobody vouches for but itself: clients are given it as the one that they
 * trust. Made at the first start and kept, so that it is handed out once; made anew when it has
 * expired or does not name the address that is listened on.
 */
final class KeptCertificate {
  private static final Logger LOG = LoggerFactory.getLogger(KeptCertificate.class);
  private static final String CERTIFICATE = "s3-certificate.pem";
  private static final String KEY = "s3-key.pem";

  private KeptCertificate() {}

  /** Where the certificate lies; no secret. */
  static Path certificate(Path directory) {
    return directory.resolve(CERTIFICATE).toAbsolutePath().normalize();
  }

  /**
   * The identity that is kept in a directory, made first where there is none that serves.
   *
   * @param host that is listened on, a name or an address
   * @throws ForebayException CONFIGURATION when it can be neither read nor made
   */
  static TlsIdentity identity(Path directory, String host) {
    Path certificate = certificate(directory);
    Path key = certificate.resolveSibling(KEY);
    if (Files.exists(certificate) && Files.exists(key)) {
      TlsIdentity kept = TlsIdentity.read(certificate, key);
      if (serves(kept.certificate(), host)) {
        return kept;
      }
    }
    try {
      Files.createDirectories(directory);
      TlsIdentity made = SelfSigned.make(names(host));
      PrivateFile.write(key, made.keyPem());
      Path part = certificate.resolveSibling(CERTIFICATE + ".part");
      Files.writeString(part, made.chainPem());
      Files.move(
          part, certificate, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
      LOG.info("tls.certificate.made file={}", certificate);
      return made;
    } catch (IOException failure) {
      throw new ForebayException(
          ErrorCode.CONFIGURATION,
          "making the self-signed certificate "
              + certificate
              + " failed ("
              + failure.getMessage()
              + "): make one elsewhere, and name its PEM files in s3.certificate and s3.certificateKey",
          failure);
    }
  }

  private static boolean serves(X509Certificate kept, String host) {
    if (kept.getNotAfter().toInstant().isBefore(Instant.now())) {
      return false;
    }
    try {
      if (isWildcard(host)) {
        return true;
      }
      Collection<List<?>> names = kept.getSubjectAlternativeNames();
      String wanted = isAddress(host) ? InetAddress.ofLiteral(host).getHostAddress() : host;
      return names != null && names.stream().anyMatch(name -> wanted.equals(name.get(1)));
    } catch (CertificateParsingException damaged) {
      return false;
    }
  }

  /** As {@code keytool} takes them: this machine's loopback, and how it is reached there. */
  private static Set<String> names(String host) throws IOException {
    var names = new LinkedHashSet<String>();
    if (isWildcard(host)) {
      try {
        names.add("dns:" + InetAddress.getLocalHost().getHostName());
      } catch (UnknownHostException nameless) {
        // its addresses stand for it
      }
      for (NetworkInterface card : NetworkInterface.networkInterfaces().toList()) {
        card.inetAddresses()
            .filter(address -> !address.isLinkLocalAddress() && !address.isLoopbackAddress())
            .forEach(address -> names.add("ip:" + address.getHostAddress()));
      }
    } else {
      names.add((isAddress(host) ? "ip:" : "dns:") + host);
    }
    names.addAll(List.of("dns:localhost", "ip:127.0.0.1", "ip:::1"));
    return names;
  }

  private static boolean isWildcard(String host) {
    return isAddress(host) && InetAddress.ofLiteral(host).isAnyLocalAddress();
  }

  private static boolean isAddress(String host) {
    try {
      InetAddress.ofLiteral(host);
      return true;
    } catch (IllegalArgumentException name) {
      return false;
    }
  }
}
