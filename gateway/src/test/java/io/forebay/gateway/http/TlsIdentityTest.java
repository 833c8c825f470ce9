package io.forebay.gateway.http;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyPairGenerator;
import java.security.PrivateKey;
import java.util.Base64;
import java.util.List;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** PEM files as operators have them, good and bad. */
final class TlsIdentityTest {
  private static TlsIdentity made;

  @TempDir private Path temp;

  @BeforeAll
  static void make() throws IOException {
    made = SelfSigned.make(List.of("dns:door.test", "ip:127.0.0.1", "ip:::1"));
  }

  @Test
  void aSelfSignedCertificateNamesWhatItWasMadeForAndSurvivesItsFiles() throws Exception {
    assertThat(made.certificate().getSubjectAlternativeNames())
        .extracting(name -> String.valueOf(name.get(1)))
        .containsExactly("door.test", "127.0.0.1", "0:0:0:0:0:0:0:1");
    made.certificate().verify(made.certificate().getPublicKey());
    assertThat(made.certificate().getBasicConstraints()).isEqualTo(-1);
    Path certificate = file("c.pem", made.chainPem());
    Path key = file("k.pem", made.keyPem());
    TlsIdentity read = TlsIdentity.read(certificate, key);
    assertThat(read.chain()).isEqualTo(made.chain());
    assertThat(read.key()).isEqualTo(made.key());
    assertThat(read.toString()).doesNotContain("PRIVATE").contains("CN=forebay");
  }

  @Test
  void aChainAndAKeyAmongOtherBlocksAreRead() throws Exception {
    Path certificate = file("c.pem", "some words\n" + made.chainPem() + made.chainPem());
    Path key =
        file(
            "k.pem",
            "-----BEGIN EC PARAMETERS-----\nAAAA\n-----END EC PARAMETERS-----\n" + made.keyPem());
    assertThat(TlsIdentity.read(certificate, key).chain()).hasSize(2);
  }

  @Test
  void aMissingFileIsNamed() throws Exception {
    Path certificate = file("c.pem", made.chainPem());
    Path key = file("k.pem", made.keyPem());
    refused(temp.resolve("nowhere"), key, "nowhere", "certificate", "check the path");
    refused(certificate, temp.resolve("nowhere"), "nowhere", "private key", "check the path");
    refused(temp, key, temp.toString(), "cannot be read");
  }

  @Test
  void aKeyOfAnotherCertificateIsNamedWithBothFiles() throws Exception {
    Path certificate = file("c.pem", made.chainPem());
    Path otherEc =
        file("ec.pem", pem(KeyPairGenerator.getInstance("EC").generateKeyPair().getPrivate()));
    refused(certificate, otherEc, "ec.pem", "not the key of the certificate", "c.pem");
    Path otherRsa =
        file("rsa.pem", pem(KeyPairGenerator.getInstance("RSA").generateKeyPair().getPrivate()));
    refused(certificate, otherRsa, "rsa.pem", "EC");
  }

  @Test
  void whatIsNoPemOrAnotherPemIsNamedWithWhatToDo() throws Exception {
    Path certificate = file("c.pem", made.chainPem());
    Path key = file("k.pem", made.keyPem());
    refused(file("text", "hello"), key, "text", "BEGIN CERTIFICATE");
    refused(file("empty", ""), key, "empty", "BEGIN CERTIFICATE");
    refused(key, key, "k.pem", "BEGIN CERTIFICATE");
    refused(file("cut", made.chainPem().substring(0, 200)), key, "cut", "certificate");
    refused(certificate, certificate, "c.pem", "BEGIN PRIVATE KEY");
    for (String kind : List.of("RSA PRIVATE KEY", "EC PRIVATE KEY", "ENCRYPTED PRIVATE KEY")) {
      Path other =
          file("other", "-----BEGIN " + kind + "-----\nAAAA\n-----END " + kind + "-----\n");
      refused(certificate, other, "other", kind, "openssl pkcs8");
    }
    String cut = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    refused(certificate, file("damaged", cut), "damaged", "undamaged");
  }

  private static void refused(Path certificate, Path key, String... parts) {
    assertThatThrownBy(() -> TlsIdentity.read(certificate, key))
        .isInstanceOfSatisfying(
            ForebayException.class,
            failure -> assertThat(failure.code()).isEqualTo(ErrorCode.CONFIGURATION))
        .satisfies(failure -> assertThat(failure.getMessage()).contains(parts));
  }

  private static String pem(PrivateKey key) {
    return "-----BEGIN PRIVATE KEY-----\n"
        + Base64.getMimeEncoder().encodeToString(key.getEncoded())
        + "\n-----END PRIVATE KEY-----\n";
  }

  private Path file(String name, String text) throws IOException {
    Path file = temp.resolve(name);
    Files.writeString(file, text);
    return file;
  }
}
