package io.forebay.backing.s3;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import java.net.URI;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;

/** What a URL and the environment say about where a bucket is and who asks. */
final class S3AddressTest {
  private static final String SECRET = "c2VjcmV0";

  private static S3Address parse(String url, Map<String, String> environment) {
    return S3Address.parse(url, name -> Optional.ofNullable(environment.get(name)));
  }

  private static String wrong(String url, Map<String, String> environment) {
    ForebayException failure =
        catchThrowableOfType(ForebayException.class, () -> parse(url, environment));
    assertThat(failure).as(url + " " + environment).isNotNull();
    assertThat(failure.code()).isEqualTo(ErrorCode.CONFIGURATION);
    assertThat(failure).hasMessageNotContaining(SECRET).hasMessageContaining("write s3://BUCKET");
    return String.valueOf(failure.getMessage());
  }

  @Test
  void withoutAnySettingItIsTheMachineAtAmazons() {
    S3Address address = parse("s3://box", Map.of());
    assertThat(address)
        .isEqualTo(
            new S3Address(
                "box",
                "",
                Optional.empty(),
                "us-east-1",
                false,
                false,
                new S3Address.Credential.Chain()));
    assertThat(address.description()).isEqualTo("s3://box at Amazon S3 in us-east-1");
  }

  @Test
  void everyOptionIsTaken() {
    S3Address address =
        parse(
            "s3://box/a/b//?endpoint=http%3A%2F%2Fstore.example:9000/&region=eu-9"
                + "&pathStyle=false&create=true",
            Map.of("AWS_REGION", "us-9", "AWS_ENDPOINT_URL", "http://other"));
    assertThat(address.prefix()).isEqualTo("a/b/");
    assertThat(address.endpoint()).contains(URI.create("http://store.example:9000"));
    assertThat(address.region()).isEqualTo("eu-9");
    assertThat(address.pathStyle()).isFalse();
    assertThat(address.create()).isTrue();
    assertThat(address.description()).isEqualTo("s3://box/a/b at http://store.example:9000");
  }

  @Test
  void whatTheUrlDoesNotSayIsTheEnvironments() {
    S3Address address =
        parse(
            "s3://box",
            Map.of(
                "AWS_REGION", "us-9",
                "AWS_DEFAULT_REGION", "us-8",
                "AWS_ENDPOINT_URL_S3", "https://store.example",
                "AWS_ENDPOINT_URL", "https://other.example"));
    assertThat(address.region()).isEqualTo("us-9");
    assertThat(address.endpoint()).contains(URI.create("https://store.example"));
    assertThat(address.pathStyle()).as("with an endpoint of its own").isTrue();
  }

  @Test
  void aKeyPairIsOfTheEnvironmentAndItsSecretIsNotPrinted() {
    S3Address address =
        parse(
            "s3://box",
            Map.of(
                S3Address.KEY_ID, "AKID", S3Address.SECRET, SECRET, S3Address.TOKEN, SECRET + "t"));
    assertThat(address.credential())
        .isEqualTo(new S3Address.Credential.Pair("AKID", SECRET, Optional.of(SECRET + "t")));
    assertThat(address.toString()).doesNotContain(SECRET);
    assertThat(wrong("s3://box", Map.of(S3Address.KEY_ID, "AKID"))).contains(S3Address.SECRET);
    assertThat(wrong("s3://box", Map.of(S3Address.SECRET, SECRET))).contains(S3Address.KEY_ID);
  }

  @Test
  void whatIsMalformedIsNamed() {
    assertThat(wrong("s3://", Map.of())).contains("3 to 63 lower-case");
    assertThat(wrong("s3:box", Map.of())).contains("does not begin with s3://");
    assertThat(wrong("s3://Box", Map.of())).contains("3 to 63 lower-case");
    assertThat(wrong("s3://bo..x", Map.of())).contains("3 to 63 lower-case");
    assertThat(wrong("s3://box/a/../b", Map.of())).contains("in its prefix");
    assertThat(wrong("s3://box?craete=true", Map.of()))
        .contains("'craete' is no option; there are endpoint, region, pathStyle, create");
    assertThat(wrong("s3://box?create=yes", Map.of())).contains("create is true or false");
    assertThat(wrong("s3://box?pathStyle=", Map.of())).contains("pathStyle is true or false");
    assertThat(wrong("s3://box?region=Eu West", Map.of())).contains("eu-central-1");
    assertThat(wrong("s3://box?endpoint=store:9000", Map.of())).contains("http[s]://HOST");
    assertThat(wrong("s3://box?endpoint=ftp://x", Map.of())).contains("http[s]://HOST");
    assertThat(wrong("s3://box?endpoint=http://x%zz", Map.of())).contains("begins no code");
    assertThat(wrong("s3://box?endpoint=http://u:" + SECRET + "@x", Map.of()))
        .contains("http[s]://HOST");
    assertThat(wrong("s3://id:" + SECRET + "@box/x", Map.of())).contains("'s3://box/x'");
    assertThat(wrong("s3://box?secret=" + SECRET, Map.of())).contains("'secret' is no option");
  }
}
