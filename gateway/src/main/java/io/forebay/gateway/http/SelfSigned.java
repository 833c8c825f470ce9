package io.forebay.gateway.http;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyStore;
import java.security.PrivateKey;
import java.security.SecureRandom;
import java.security.cert.X509Certificate;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HexFormat;
import java.util.List;
import java.util.concurrent.TimeUnit;

/**
 * Makes certificates that nobody vouches for but themselves, with the JDK's {@code keytool}: the
 * JDK's libraries can read certificates, and have no public way to write one.
 */
public final class SelfSigned {
  /** Ten years: whoever trusts such a certificate was given this very one. */
  private static final int VALID_DAYS = 3_650;

  private static final int KEYTOOL_SECONDS = 60;
  private static final String ALIAS = "door";

  private SelfSigned() {}

  /**
   * A new key (EC, P-256) and its certificate. Takes about a second: a process is started.
   *
   * @param names that clients will connect to: {@code dns:NAME} or {@code ip:ADDRESS} each
   * @throws IOException when {@code keytool} is not there, or fails
   */
  public static TlsIdentity make(Collection<String> names) throws IOException {
    Path scratch = Files.createTempDirectory("forebay-certificate");
    Path store = scratch.resolve("store.p12");
    try {
      var drawn = new byte[16];
      new SecureRandom().nextBytes(drawn);
      String password = HexFormat.of().formatHex(drawn);
      keytool(store, password, names);
      KeyStore made = KeyStore.getInstance("PKCS12");
      try (InputStream in = Files.newInputStream(store)) {
        made.load(in, password.toCharArray());
      }
      if (made.getKey(ALIAS, password.toCharArray()) instanceof PrivateKey key
          && made.getCertificate(ALIAS) instanceof X509Certificate certificate) {
        return new TlsIdentity(key, List.of(certificate));
      }
      throw new IOException("keytool has made neither key nor certificate");
    } catch (GeneralSecurityException failure) {
      throw new IOException("what keytool has made cannot be read: " + failure, failure);
    } finally {
      Files.deleteIfExists(store);
      Files.deleteIfExists(scratch);
    }
  }

  private static void keytool(Path store, String password, Collection<String> names)
      throws IOException {
    var command = new ArrayList<String>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "keytool").toString());
    command.addAll(List.of("-genkeypair", "-alias", ALIAS, "-dname", "CN=forebay"));
    command.addAll(List.of("-keyalg", "EC", "-groupname", "secp256r1"));
    command.addAll(List.of("-validity", Integer.toString(VALID_DAYS)));
    command.addAll(List.of("-ext", "san=" + String.join(",", names)));
    // No authority: some clients (rustls) refuse a server whose own certificate is one.
    command.addAll(List.of("-ext", "ku:critical=digitalSignature", "-ext", "eku=serverAuth"));
    command.addAll(List.of("-storetype", "PKCS12", "-keystore", store.toString()));
    command.addAll(List.of("-storepass:env", "FOREBAY_STOREPASS"));
    var builder = new ProcessBuilder(command).redirectErrorStream(true);
    builder.environment().put("FOREBAY_STOREPASS", password);
    Process process = builder.start();
    try {
      process.getOutputStream().close();
      String said =
          new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8).strip();
      if (!process.waitFor(KEYTOOL_SECONDS, TimeUnit.SECONDS)) {
        throw new IOException("keytool did not end within " + KEYTOOL_SECONDS + " s");
      }
      if (process.exitValue() != 0) {
        throw new IOException("keytool: " + said);
      }
    } catch (InterruptedException stopped) {
      Thread.currentThread().interrupt();
      throw new IOException("interrupted while keytool ran", stopped);
    } finally {
      process.destroyForcibly();
    }
  }
}
