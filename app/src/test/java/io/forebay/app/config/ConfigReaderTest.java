package io.forebay.app.config;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.forebay.core.cluster.KeyGrant;
import io.forebay.core.cluster.KeyRight;
import io.forebay.core.error.ForebayException;
import io.forebay.core.lease.LeaseSettings;
import io.forebay.gateway.s3.CorsRule;
import io.forebay.node.replica.CapacitySettings;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ConfigReaderTest {
  private static final String GOOD =
      """
      node: a
      secret: sixteen-characters-at-least
      voters:
        a: {address: 127.0.0.1:7100, consensus: 127.0.0.1:7200}
      data: [d0, d1]
      s3: {listen: 127.0.0.1:9000}
      memory: 64MiB
      grace: 30s
      """;

  @TempDir Path dir;

  private ServerConfig read(String text) throws IOException {
    Path file = dir.resolve("forebay.yaml");
    Files.writeString(file, text);
    return ConfigReader.read(file);
  }

  private void refuses(String text, String... parts) {
    assertThatThrownBy(() -> read(text))
        .isInstanceOf(ForebayException.class)
        .satisfies(
            failure -> assertThat(failure.getMessage()).contains("forebay.yaml").contains(parts));
  }

  @Test
  void aGoodFileIsReadWithItsDefaults() throws IOException {
    ServerConfig config = read(GOOD);
    assertThat(config.listen()).isEqualTo("127.0.0.1:7100");
    assertThat(config.voter()).isTrue();
    assertThat(config.data()).containsExactly(Path.of("d0"), Path.of("d1"));
    assertThat(config.memoryBytes()).isEqualTo(64L << 20);
    assertThat(config.segmentBytes()).isEqualTo(256L << 20);
    assertThat(config.graceMillis()).isEqualTo(30_000);
    S3DoorConfig door = config.s3().orElseThrow();
    assertThat(door.listen()).isEqualTo("127.0.0.1:9000");
    assertThat(door.certificate()).isEmpty();
    assertThat(door.anonymous()).isFalse();
    assertThat(door.connections()).isEqualTo(10_000);
    assertThat(door.idleMillis()).isEqualTo(75_000);
    assertThat(config.toString()).doesNotContain("sixteen");
  }

  @Test
  void aMisspeltSettingIsNamedWithTheNearestKnownOne() {
    refuses(GOOD + "memroy: 1GiB\n", "memroy", "'memory'");
    refuses(GOOD.replace("{listen", "{lisen"), "s3.lisen", "'s3.listen'");
    refuses(GOOD.replace("consensus", "consensos"), "consensos", "'consensus'");
  }

  @Test
  void aWrongUnitIsNamedWithWhatWouldBeRight() {
    refuses(GOOD.replace("64MiB", "64 megs"), "memory", "64 megs", "64MiB");
    refuses(GOOD.replace("30s", "30"), "grace", "500ms");
  }

  @Test
  void aSegmentHasASizeThatAVolumeCanUse() throws IOException {
    assertThat(read(GOOD + "segment: 32MiB\n").segmentBytes()).isEqualTo(32L << 20);
    assertThat(read(GOOD + "segment: 1GiB\n").segmentBytes()).isEqualTo(1L << 30);
    for (String size : List.of("16MiB", "33MiB", "1028MiB", "4352MiB", "1000")) {
      refuses(GOOD + "segment: " + size + "\n", "segment", size, "4MiB", "32MiB to 1GiB");
    }
  }

  @Test
  void aSpanThatNoClockHoldsIsRefused() throws IOException {
    assertThat(read(GOOD + "scrub.cycle: 36500d\n").scrub().cycleNanos())
        .isEqualTo(36_500L * 86_400_000_000_000L);
    refuses(GOOD + "scrub.cycle: 36501d\n", "scrub.cycle", "36501d", "at most 36500d");
    refuses(GOOD.replace("30s", "999999999999d"), "grace", "999999999999d", "at most 36500d");
  }

  @Test
  void leasesAreOffUnlessTheyHaveALengthOfAtMostASecond() throws IOException {
    assertThat(read(GOOD).leases().on()).isFalse();
    LeaseSettings leases =
        read(GOOD + "leases: {length: 500ms, quiet: 2s, except: [logs, tmp]}\n").leases();
    assertThat(leases)
        .isEqualTo(new LeaseSettings(500_000_000L, 2_000_000_000L, List.of("logs", "tmp")));
    refuses(GOOD + "leases: {length: 2s}\n", "leases.length", "1s");
    refuses(GOOD + "leases: {except: logs}\n", "leases.except", "list");
    refuses(GOOD + "leases: {lenght: 1s}\n", "leases.lenght", "'leases.length'");
  }

  @Test
  void twoVotersAreRefused() {
    refuses(
        GOOD.replace(
            "voters:", "voters:\n  b: {address: 127.0.0.1:7101, consensus: 127.0.0.1:7201}"),
        "1, 3 or 5",
        "2");
  }

  @Test
  void aShortSecretAndAMissingOneAreRefused() {
    refuses(GOOD.replace("sixteen-characters-at-least", "short"), "secret", "16");
    refuses(GOOD.replace("secret: sixteen-characters-at-least\n", ""), "secret", "secretFile");
  }

  @Test
  void anonymousAccessBeyondLoopbackIsRefused() {
    refuses(
        GOOD.replace("{listen: 127.0.0.1:9000}", "{listen: '0.0.0.0:9000', anonymous: true}"),
        "s3.anonymous",
        "0.0.0.0:9000");
  }

  @Test
  void httpsTakesTheNamedCertificateOrElseOneOfItsOwnBesideMeta() throws IOException {
    String https = GOOD.replace("{listen: 127.0.0.1:9000}", "{listen: 'https://h:9000'%s}");
    S3DoorConfig door = read(https.formatted("")).s3().orElseThrow();
    assertThat(door.listen()).isEqualTo("h:9000");
    assertThat(door.certificate())
        .contains(
            new S3DoorConfig.Certificate.SelfSigned(Path.of("forebay-data").toAbsolutePath()));
    assertThat(
            read(https.formatted(", certificate: c.pem, certificateKey: k.pem, idle: 5s"))
                .s3()
                .orElseThrow()
                .certificate())
        .contains(new S3DoorConfig.Certificate.Own(Path.of("c.pem"), Path.of("k.pem")));
  }

  @Test
  void aCertificateWithoutItsKeyOrWithoutHttpsIsRefused() {
    refuses(
        GOOD.replace("{listen: 127.0.0.1:9000}", "{listen: 'https://h:9000', certificate: c.pem}"),
        "s3.certificate",
        "s3.certificateKey");
    refuses(
        GOOD.replace("9000}", "9000, certificate: c.pem, certificateKey: k.pem}"),
        "s3.certificate",
        "https://127.0.0.1:9000");
    refuses(GOOD.replace("{listen: 127", "{listen: ftp://127"), "s3.listen", "https://");
    refuses(GOOD.replace("9000}", "9000, certificat: c.pem}"), "'s3.certificate'");
  }

  @Test
  void whenRoomIsMadeIsSaidInSharesAndNonsenseIsRefused() throws IOException {
    assertThat(read(GOOD).capacity()).isEqualTo(CapacitySettings.DEFAULT);
    ServerConfig config =
        read(GOOD + "capacity: 1GiB\ncapacity.high: 0.9\ncapacity.low: 0.5\ncapacity.wait: 2m\n");
    assertThat(config.capacityBytes()).isEqualTo(1L << 30);
    assertThat(config.capacity()).isEqualTo(new CapacitySettings(0.9, 0.5, 120_000_000_000L));
    refuses(GOOD + "capacity.high: 90%\n", "capacity.high", "90%", "between 0 and 1");
    refuses(GOOD + "capacity.high: 1.5\n", "capacity.high", "1.5", "between 0 and 1");
    refuses(GOOD + "capacity.low: NaN\n", "capacity.low", "NaN");
    refuses(GOOD + "capacity.low: 0.85\n", "capacity.low", "below capacity.high", "0.85");
    refuses(GOOD + "capacity.wait: long\n", "capacity.wait", "long", "5s");
    refuses(GOOD + "capacity.hihg: 0.9\n", "'capacity.high'");
  }

  @Test
  void somethingThatIsNoYamlIsRefusedByItsName() {
    refuses("node: [", "no YAML");
    refuses("just text", "map of settings");
  }

  @Test
  void keyPairsHaveTheRightsThatTheirGrantsName() throws IOException {
    ServerConfig config =
        read(
            GOOD.replace(
                "{listen: 127.0.0.1:9000}",
                """
                {listen: 127.0.0.1:9000, accessKeyId: all, secretAccessKey: s, keys: [
                  {accessKeyId: some, secretAccessKey: t, grants: {data: read, 'run-*': write, x: admin}}]}\
                """));
    assertThat(config.s3Keys())
        .containsExactly(
            new ServerConfig.AccessKeyPair("all", "s", List.of()),
            new ServerConfig.AccessKeyPair(
                "some",
                "t",
                List.of(
                    new KeyGrant("data", KeyRight.READ),
                    new KeyGrant("run-*", KeyRight.WRITE),
                    new KeyGrant("x", KeyRight.ADMIN))));
    String one = "{accessKeyId: a, secretAccessKey: s, grants: {b: read}}";
    refusesKeys(one.replace("read", "reed"), "s3.keys", "'b'", "'reed'");
    refusesKeys(one.replace("{b: read}", "{}"), "s3.keys", "grants of a");
    refusesKeys(one.replace("b:", "'*b':"), "s3.keys", "'*b'");
    refusesKeys(one.replace("grants", "grans"), "s3.keys", "'grans'", "'grants'");
    refusesKeys("{accessKeyId: a}", "s3.keys", "secretAccessKey");
    refusesKeys(one + ", " + one, "s3.keys", "twice");
    refuses(GOOD.replace("127.0.0.1:9000}", "127.0.0.1:9000, keys: all}"), "s3.keys", "list");
  }

  private void refusesKeys(String keys, String... parts) {
    refuses(GOOD.replace("127.0.0.1:9000}", "127.0.0.1:9000, keys: [" + keys + "]}"), parts);
  }

  @Test
  void pagesOfOtherOriginsAreNamedByRules() throws IOException {
    ServerConfig config =
        read(
            GOOD.replace(
                "{listen: 127.0.0.1:9000}",
                """
                {listen: 127.0.0.1:9000, cors: [
                  {origins: 'https://a.example', methods: [GET, PUT], headers: [Content-Type], expose: ETag, maxAge: 10m}]}\
                """));
    assertThat(config.s3Cors())
        .containsExactly(
            new CorsRule(
                List.of("https://a.example"),
                List.of("GET", "PUT"),
                List.of("content-type"),
                List.of("ETag"),
                600));
    for (String wrong :
        List.of(
            "{origins: a}", "{origins: a, methods: PATCH}", "{origins: 'a*b*', methods: GET}")) {
      refuses(GOOD.replace("127.0.0.1:9000}", "127.0.0.1:9000, cors: [" + wrong + "]}"), "s3.cors");
    }
  }
}
