package io.forebay.gateway.s3;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.forebay.core.cluster.AccessKey;
import io.forebay.core.cluster.Durability;
import io.forebay.core.cluster.Family;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.file.BucketSpec;
import io.forebay.gateway.http.Header;
import io.forebay.gateway.http.Headers;
import io.forebay.gateway.http.RequestHead;
import java.net.InetAddress;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import org.junit.jupiter.api.Test;

/**
 * Known answers: the examples of the Amazon S3 API reference ("Authenticating Requests"), and
 * requests signed by botocore with a fixed clock.
 */
final class SignatureV4Test {
  private static final AccessKey AWS =
      new AccessKey("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY");
  private static final long IN_2013 = Instant.parse("2013-05-24T00:00:00Z").toEpochMilli();
  private static final long IN_2026 = Instant.parse("2026-11-24T09:00:00Z").toEpochMilli();
  private static final String EMPTY = Sha256.EMPTY_HEX;

  @Test
  void theExampleOfAGetWithARangeVerifies() {
    Caller caller =
        verify(
            IN_2013,
            request(
                "GET",
                "/test.txt",
                "host",
                "examplebucket.s3.amazonaws.com",
                "range",
                "bytes=0-9",
                "x-amz-content-sha256",
                EMPTY,
                "x-amz-date",
                "20130524T000000Z",
                "authorization",
                aws(
                    "host;range;x-amz-content-sha256;x-amz-date",
                    "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41")));
    assertThat(caller.anonymous()).isFalse();
    assertThat(caller.payloadSha256Hex()).contains(EMPTY);
  }

  @Test
  void theExampleOfAPresignedUrlVerifiesUntilItExpires() {
    String target =
        "/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524"
            + "%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400"
            + "&X-Amz-SignedHeaders=host&X-Amz-Signature="
            + "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404";
    S3Request request = request("GET", target, "host", "examplebucket.s3.amazonaws.com");
    verify(IN_2013, request);
    verify(IN_2013 + 86_400_000, request);
    refused(ErrorCode.ACCESS_DENIED, () -> verify(IN_2013 + 86_400_001, request));
    refused(ErrorCode.ACCESS_DENIED, () -> verify(IN_2013 - 16 * 60_000, request));
    refused(
        ErrorCode.SIGNATURE_MISMATCH,
        () ->
            verify(
                IN_2013,
                request(
                    "GET",
                    target.replace("test", "text"),
                    "host",
                    "examplebucket.s3.amazonaws.com")));
  }

  @Test
  void requestsSignedByBotocoreVerify() {
    verify(
        IN_2026,
        request(
            "GET",
            "/b?list-type=2&prefix=a%20b%2F%2B&delimiter=%2F&max-keys=&start-after=%C3%A4",
            "host",
            "127.0.0.1:9000",
            "x-amz-date",
            "20261124T090000Z",
            "x-amz-content-sha256",
            EMPTY,
            "authorization",
            botocore(
                "host;x-amz-content-sha256;x-amz-date",
                "a7ccc8bba78f3ba97730553971a3d9d20e019e865d225452cc48c9a1638b4b75")));
    verify(
        IN_2026,
        request(
            "PUT",
            "/b/dir/a%20b%2B%25/%C3%A4",
            "host",
            "127.0.0.1:9000",
            "x-amz-meta-note",
            "two   spaces",
            "content-type",
            "text/plain",
            "x-amz-date",
            "20261124T090000Z",
            "x-amz-content-sha256",
            "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824",
            "authorization",
            botocore(
                "content-type;host;x-amz-content-sha256;x-amz-date;x-amz-meta-note",
                "0b00c537063bd6014def0f5099a3a24ce29c64b77ff59ed0ef722bfe5787e0c6")));
    verify(
        IN_2026,
        request(
            "GET",
            "/x%2Fy~z?response-content-type=a%2Fb&X-Amz-Algorithm=AWS4-HMAC-SHA256"
                + "&X-Amz-Credential=AKIDEXAMPLE%2F20261124%2Fus-east-1%2Fs3%2Faws4_request"
                + "&X-Amz-Date=20261124T090000Z&X-Amz-Expires=600&X-Amz-SignedHeaders=host"
                + "&X-Amz-Signature="
                + "fd368cb8beb90821b9a7d332964629a55cb569620aaec1bf09b05f62fd37dcbe",
            "host",
            "b.s3.test:9000"));
  }

  @Test
  void whatIsNotRightIsRefusedByName() {
    S3Request good = get("x-extra", "1");
    verify(IN_2013, good);
    refused(ErrorCode.CLOCK_SKEW, () -> verify(IN_2013 + 16 * 60_000, good));
    refused(ErrorCode.CLOCK_SKEW, () -> verify(IN_2013 - 16 * 60_000, good));
    refused(S3Code.UNSIGNED_HEADERS, () -> verify(IN_2013, get("x-amz-meta-sneaked", "1")));
    refused(ErrorCode.SIGNATURE_MISMATCH, () -> verify(IN_2013, get("range", "bytes=0-1")));
    refused(
        ErrorCode.UNAUTHENTICATED, () -> verify(IN_2013, request("GET", "/test.txt", "host", "h")));
    refused(
        S3Code.INVALID_REQUEST,
        () ->
            verify(
                IN_2013,
                request("GET", "/test.txt", "host", "h", "authorization", "AWS AKIA:abc=")));
    for (String broken :
        List.of(
            "AWS4-HMAC-SHA256 Credential=x",
            "AWS4-HMAC-SHA256 Credential=A/20130524/eu-west-1/s3/aws4_request,SignedHeaders=host,Signature=0",
            "AWS4-HMAC-SHA256 Credential=A/20130524/us-east-1/sts/aws4_request,SignedHeaders=host,Signature=0")) {
      refused(
          S3Code.AUTHORIZATION_HEADER_MALFORMED,
          () ->
              verify(
                  IN_2013,
                  request(
                      "GET",
                      "/",
                      "host",
                      "h",
                      "x-amz-date",
                      "20130524T000000Z",
                      "authorization",
                      broken)));
    }
    refused(
        ErrorCode.NO_SUCH_ACCESS_KEY,
        () ->
            verify(
                IN_2013,
                request(
                    "GET",
                    "/",
                    "host",
                    "h",
                    "x-amz-date",
                    "20130524T000000Z",
                    "x-amz-content-sha256",
                    EMPTY,
                    "authorization",
                    "AWS4-HMAC-SHA256 Credential=NOBODY/20130524/us-east-1/s3/aws4_request,"
                        + "SignedHeaders=host;x-amz-content-sha256;x-amz-date,Signature=00")));
  }

  @Test
  void anonymousIsTakenOnlyFromLoopbackAndOnlyWhenAskedFor() {
    S3Request local = request("GET", "/b/k", "host", "h");
    S3Request remote = request(InetAddress.ofLiteral("192.0.2.7"), "GET", "/b/k", "host", "h");
    assertThat(signatures(true).verify(local, 0).anonymous()).isTrue();
    refused(ErrorCode.UNAUTHENTICATED, () -> signatures(true).verify(remote, 0));
    refused(ErrorCode.UNAUTHENTICATED, () -> signatures(false).verify(local, 0));
  }

  private static S3Request get(String name, String value) {
    var pairs =
        new ArrayList<>(
            List.of(
                "host",
                "examplebucket.s3.amazonaws.com",
                "range",
                "bytes=0-9",
                "x-amz-content-sha256",
                EMPTY,
                "x-amz-date",
                "20130524T000000Z",
                "authorization",
                aws(
                    "host;range;x-amz-content-sha256;x-amz-date",
                    "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41")));
    int present = pairs.indexOf(name);
    if (present >= 0) {
      pairs.set(present + 1, value);
    } else {
      pairs.addAll(List.of(name, value));
    }
    return request("GET", "/test.txt", pairs.toArray(String[]::new));
  }

  private static String aws(String signedHeaders, String signature) {
    return "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"
        + "SignedHeaders="
        + signedHeaders
        + ",Signature="
        + signature;
  }

  private static String botocore(String signedHeaders, String signature) {
    return "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261124/us-east-1/s3/aws4_request, SignedHeaders="
        + signedHeaders
        + ", Signature="
        + signature;
  }

  private static Caller verify(long nowMillis, S3Request request) {
    return signatures(false).verify(request, nowMillis);
  }

  private static SignatureV4 signatures(boolean anonymous) {
    Map<String, AccessKey> keys =
        Map.of(AWS.accessKeyId(), AWS, TestDoor.KEY.accessKeyId(), TestDoor.KEY);
    return new SignatureV4(
        new S3Config(
            "us-east-1",
            Optional.empty(),
            anonymous,
            List.of(),
            name -> BucketSpec.of(name, new Family(1, 1, Durability.REPLICATED), "")),
        id -> Optional.ofNullable(keys.get(id)));
  }

  static S3Request request(String method, String target, String... headers) {
    return request(InetAddress.getLoopbackAddress(), method, target, headers);
  }

  private static S3Request request(
      InetAddress peer, String method, String target, String... headers) {
    var all = new ArrayList<Header>();
    for (int i = 0; i < headers.length; i += 2) {
      all.add(new Header(headers[i], headers[i + 1]));
    }
    return S3Request.parse(
        new RequestHead(method, target, new Headers(all), OptionalLong.empty(), false, false, peer),
        Optional.of("s3.amazonaws.com"));
  }

  static void refused(ErrorCode code, Runnable call) {
    assertThatThrownBy(call::run)
        .isInstanceOfSatisfying(
            ForebayException.class, refusal -> assertThat(refusal.code()).isEqualTo(code));
  }

  static void refused(S3Code code, Runnable call) {
    assertThatThrownBy(call::run)
        .isInstanceOfSatisfying(
            S3Refusal.class,
            refusal -> assertThat(refusal.code()).as(refusal.getMessage()).isEqualTo(code));
  }
}
