package io.forebay.backing.azure;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;

/** What a URL and the environment say about where a store is and who asks. */
final class AzureAddressTest {
  private static final String SECRET = "c2VjcmV0";
  private static final String SAS = "sv=2024&sig=" + SECRET;

  private static AzureAddress parse(String url, Map<String, String> environment) {
    return AzureAddress.parse(url, name -> Optional.ofNullable(environment.get(name)));
  }

  private static String wrong(String url, Map<String, String> environment) {
    ForebayException failure =
        catchThrowableOfType(ForebayException.class, () -> parse(url, environment));
    assertThat(failure).as(url + " " + environment).isNotNull();
    assertThat(failure.code()).isEqualTo(ErrorCode.CONFIGURATION);
    assertThat(failure)
        .hasMessageNotContaining(SECRET)
        .hasMessageContaining("write azblob://ACCOUNT/CONTAINER");
    return String.valueOf(failure.getMessage());
  }

  @Test
  void withoutAnySettingItIsTheMachineAtTheAccountsPublicEndpoint() {
    AzureAddress address = parse("azblob://acc/box", Map.of());
    assertThat(address.endpoint()).isEqualTo("https://acc.blob.core.windows.net");
    assertThat(address.credential()).isEqualTo(new AzureAddress.Credential.Identity());
    assertThat(address.prefix()).isEmpty();
    assertThat(address.create()).isFalse();
    assertThat(address.description()).isEqualTo("azblob://acc/box");
  }

  @Test
  void aPrefixEndsWithASlash() {
    assertThat(parse("azblob://acc/box/a/b//?create=true", Map.of()).prefix()).isEqualTo("a/b/");
    assertThat(parse("azblob://acc/box/a/b//?create=true", Map.of()).create()).isTrue();
  }

  @Test
  void aConnectionStringComesBeforeAKeyAndAKeyBeforeASignature() {
    String connection = "AccountName=acc;AccountKey=Y29ubg==;EndpointSuffix=example.net";
    var all =
        Map.of(
            AzureAddress.CONNECTION_STRING, connection,
            AzureAddress.KEY, SECRET,
            AzureAddress.SAS_TOKEN, SAS);
    AzureAddress address = parse("azblob://acc/box", all);
    assertThat(address.credential()).isEqualTo(new AzureAddress.Credential.Key("Y29ubg=="));
    assertThat(address.endpoint()).isEqualTo("https://acc.blob.example.net");
    assertThat(
            parse("azblob://acc/box", Map.of(AzureAddress.KEY, SECRET, AzureAddress.SAS_TOKEN, SAS))
                .credential())
        .isEqualTo(new AzureAddress.Credential.Key(SECRET));
    assertThat(parse("azblob://acc/box", Map.of(AzureAddress.SAS_TOKEN, "?" + SAS)).credential())
        .isEqualTo(new AzureAddress.Credential.Sas(SAS));
  }

  @Test
  void aSecretIsNotPrinted() {
    assertThat(parse("azblob://acc/box", Map.of(AzureAddress.KEY, SECRET)).toString())
        .doesNotContain(SECRET);
    assertThat(parse("azblob://acc/box", Map.of(AzureAddress.SAS_TOKEN, SAS)).toString())
        .doesNotContain(SECRET);
  }

  @Test
  void theEndpointIsTheEnvironmentsOnly() {
    assertThat(wrong("azblob://acc/box?endpoint=https://evil.example", Map.of()))
        .contains("'endpoint' is no option");
    var settings =
        Map.of(AzureAddress.ENDPOINT, "http://127.0.0.1:10000/acc/", AzureAddress.KEY, SECRET);
    AzureAddress address = parse("azblob://acc/box", settings);
    assertThat(address.endpoint()).isEqualTo("http://127.0.0.1:10000/acc");
    assertThat(address.description()).contains("at http://127.0.0.1:10000/acc");
  }

  @Test
  void credentialsOfAnotherAccountAreRefused() {
    assertThat(
            wrong(
                "azblob://acc/box",
                Map.of(AzureAddress.CONNECTION_STRING, "AccountName=other;AccountKey=" + SECRET)))
        .contains("'other'");
    assertThat(
            wrong(
                "azblob://acc/box",
                Map.of(
                    AzureAddress.CONNECTION_STRING,
                    "BlobEndpoint=https://other.blob.core.windows.net/;SharedAccessSignature="
                        + SAS)))
        .contains("'other'");
    assertThat(
            wrong(
                "azblob://acc/box",
                Map.of(AzureAddress.ACCOUNT, "other", AzureAddress.KEY, SECRET)))
        .contains("'other'");
    assertThat(
            parse(
                    "azblob://acc/box",
                    Map.of(
                        AzureAddress.CONNECTION_STRING,
                        "BlobEndpoint=https://acc.blob.core.windows.net/;SharedAccessSignature="
                            + SAS))
                .credential())
        .isEqualTo(new AzureAddress.Credential.Sas(SAS));
  }

  @Test
  void aCredentialThatTravelsIsNotSentUnencrypted() {
    assertThat(
            wrong(
                "azblob://acc/box",
                Map.of(AzureAddress.ENDPOINT, "http://proxy.example", AzureAddress.SAS_TOKEN, SAS)))
        .contains("not encrypted");
    assertThat(wrong("azblob://acc/box", Map.of(AzureAddress.ENDPOINT, "http://127.0.0.1:10000")))
        .contains("not encrypted");
  }

  @Test
  void whatIsMalformedIsNamed() {
    assertThat(wrong("azblob://acc", Map.of())).contains("cannot be opened");
    assertThat(wrong("azblob://Acc/box", Map.of())).contains("3 to 24 lower-case");
    assertThat(wrong("azblob://acc/b", Map.of())).contains("3 to 63 lower-case");
    assertThat(wrong("azblob://acc/box--x", Map.of())).contains("3 to 63 lower-case");
    assertThat(wrong("azblob://acc/box/a/../b", Map.of())).contains("in its prefix");
    assertThat(wrong("azblob://acc/box?craete=true", Map.of())).contains("'craete' is no option");
    assertThat(wrong("azblob://acc/box?create=yes", Map.of())).contains("not 'yes'");
    assertThat(wrong("azblob://acc:" + SECRET + "@x/box", Map.of())).contains("azblob://x/box");
    assertThat(wrong("azblob://acc/box?sig=" + SECRET, Map.of())).contains("'sig' is no option");
    assertThat(wrong("azblob://acc/box", Map.of(AzureAddress.KEY, "no base64!")))
        .contains(AzureAddress.KEY);
    assertThat(wrong("azblob://acc/box", Map.of(AzureAddress.SAS_TOKEN, "sv=1\nsig=" + SECRET)))
        .contains(AzureAddress.SAS_TOKEN);
    assertThat(wrong("azblob://acc/box", Map.of(AzureAddress.CONNECTION_STRING, "AccountName=acc")))
        .contains("neither an AccountKey nor");
    assertThat(
            wrong(
                "azblob://acc/box",
                Map.of(AzureAddress.ENDPOINT, "ftp://x", AzureAddress.KEY, SECRET)))
        .contains("http[s]://HOST");
  }
}
