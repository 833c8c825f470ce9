package io.forebay.app.e2e;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import java.io.InputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.stream.Stream;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManager;
import javax.net.ssl.TrustManagerFactory;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import software.amazon.awssdk.auth.credentials.AwsBasicCredentials;
import software.amazon.awssdk.auth.credentials.StaticCredentialsProvider;
import software.amazon.awssdk.core.async.AsyncRequestBody;
import software.amazon.awssdk.core.async.AsyncResponseTransformer;
import software.amazon.awssdk.core.exception.SdkClientException;
import software.amazon.awssdk.core.sync.RequestBody;
import software.amazon.awssdk.http.apache5.Apache5HttpClient;
import software.amazon.awssdk.http.nio.netty.NettyNioAsyncHttpClient;
import software.amazon.awssdk.regions.Region;
import software.amazon.awssdk.services.s3.S3AsyncClient;
import software.amazon.awssdk.services.s3.S3BaseClientBuilder;
import software.amazon.awssdk.services.s3.S3Client;
import software.amazon.awssdk.services.s3.model.CompletedPart;
import software.amazon.awssdk.services.s3.model.ObjectIdentifier;
import software.amazon.awssdk.services.s3.model.S3Exception;
import software.amazon.awssdk.services.s3.model.S3Object;
import software.amazon.awssdk.services.s3.presigner.S3Presigner;

/**
 * The AWS SDK for Java, version 2, with its default settings: its blocking client on Apache's HTTP
 * client, its asynchronous one on Netty in parts, and its presigner. Only what a user has to say is
 * said: where the server is, the keys, and which certificate is trusted.
 */
final class AwsSdkForJava {
  private static final String BUCKET = "java-sdk";
  private static final int PART_BYTES = 5 << 20;
  private static final byte[] SMALL = "some bytes".getBytes(StandardCharsets.UTF_8);
  private static final String SMALL_ETAG = "\"9d0568469d206c1aedf1b71f12f474bc\"";

  private final URI endpoint;
  private final String keyId;
  private final String secret;
  private final Optional<TrustManager[]> trusted;
  private final byte[] big = new byte[(20 << 20) + 17];

  /**
   * A client that has not connected yet.
   *
   * @param certificate in PEM, trusted instead of the usual authorities; over HTTP none
   */
  AwsSdkForJava(String endpoint, String keyId, String secret, Optional<Path> certificate)
      throws Exception {
    this.endpoint = URI.create(endpoint);
    this.keyId = keyId;
    this.secret = secret;
    this.trusted =
        certificate.isPresent() ? Optional.of(trusting(certificate.get())) : Optional.empty();
    new Random(3).nextBytes(big);
  }

  /** Writes, reads, lists, is refused, and removes what it made; fails where anything differs. */
  void run() throws Exception {
    try (S3Client s3 = blocking(secret, trusted);
        S3AsyncClient inParts = inParts();
        S3Client stranger = blocking("wrong", trusted)) {
      s3.createBucket(request -> request.bucket(BUCKET));
      inOnePiece(s3);
      inPartsOfOurOwn(s3);
      inPartsOfTheSdk(inParts);
      List<String> keys = List.of("a/small", "async", "big");
      // Of two keys a page, so that the second page is asked for.
      assertThat(s3.listObjectsV2Paginator(request -> request.bucket(BUCKET).maxKeys(2)).contents())
          .extracting(S3Object::key)
          .containsExactlyElementsOf(keys);
      refusals(s3, stranger);
      presigned();
      assertThat(s3.listMultipartUploads(request -> request.bucket(BUCKET)).uploads()).isEmpty();
      List<ObjectIdentifier> made =
          Stream.concat(keys.stream(), Stream.of("presigned"))
              .map(key -> ObjectIdentifier.builder().key(key).build())
              .toList();
      assertThat(
              s3.deleteObjects(
                      request -> request.bucket(BUCKET).delete(delete -> delete.objects(made)))
                  .deleted())
          .hasSameSizeAs(made);
      s3.deleteBucket(request -> request.bucket(BUCKET));
      refused(404, "NoSuchBucket", () -> s3.listObjectsV2(request -> request.bucket(BUCKET)));
    }
    if (trusted.isPresent()) {
      try (S3Client distrustful = blocking(secret, Optional.empty())) {
        assertThat(catchThrowableOfType(SdkClientException.class, distrustful::listBuckets))
            .hasMessageContaining("PKIX");
      }
    }
  }

  private static void inOnePiece(S3Client s3) {
    var made =
        s3.putObject(
            request -> request.bucket(BUCKET).key("a/small").metadata(Map.of("mine", "yes")),
            RequestBody.fromBytes(SMALL));
    assertThat(made.eTag()).isEqualTo(SMALL_ETAG);
    assertThat(made.checksumCRC32()).as("the SDK's checksum by default").isNotEmpty();
    var read = s3.getObjectAsBytes(request -> request.bucket(BUCKET).key("a/small"));
    assertThat(read.asByteArray()).isEqualTo(SMALL);
    assertThat(read.response().eTag()).isEqualTo(SMALL_ETAG);
    var head = s3.headObject(request -> request.bucket(BUCKET).key("a/small"));
    assertThat(head.contentLength()).isEqualTo(SMALL.length);
    assertThat(head.metadata()).containsEntry("mine", "yes");
  }

  private void inPartsOfOurOwn(S3Client s3) {
    String upload =
        s3.createMultipartUpload(request -> request.bucket(BUCKET).key("big")).uploadId();
    var parts = new ArrayList<CompletedPart>();
    for (int at = 0; at < big.length; at += PART_BYTES) {
      int number = parts.size() + 1;
      byte[] part = Arrays.copyOfRange(big, at, Math.min(big.length, at + PART_BYTES));
      var sent =
          s3.uploadPart(
              request -> request.bucket(BUCKET).key("big").uploadId(upload).partNumber(number),
              RequestBody.fromBytes(part));
      parts.add(
          CompletedPart.builder()
              .partNumber(number)
              .eTag(sent.eTag())
              .checksumCRC32(sent.checksumCRC32())
              .build());
    }
    var completed =
        s3.completeMultipartUpload(request ->
            request
                .bucket(BUCKET)
                .key("big")
                .uploadId(upload)
                .multipartUpload(all -> all.parts(parts)));
    assertThat(completed.eTag()).endsWith("-5\"");
    assertSame(
        s3.getObjectAsBytes(request -> request.bucket(BUCKET).key("big")).asByteArray(), big);
    var range =
        s3.getObjectAsBytes(
            request -> request.bucket(BUCKET).key("big").range("bytes=5242875-5242884"));
    assertThat(range.asByteArray()).isEqualTo(Arrays.copyOfRange(big, 5242875, 5242885));
    assertThat(range.response().contentRange()).isEqualTo("bytes 5242875-5242884/" + big.length);
  }

  private void inPartsOfTheSdk(S3AsyncClient inParts) {
    String etag =
        inParts
            .putObject(
                request -> request.bucket(BUCKET).key("async"), AsyncRequestBody.fromBytes(big))
            .join()
            .eTag();
    assertThat(etag).as("parts of 8 MiB").endsWith("-3\"");
    assertSame(
        inParts
            .getObject(
                request -> request.bucket(BUCKET).key("async"), AsyncResponseTransformer.toBytes())
            .join()
            .asByteArray(),
        big);
  }

  private static void refusals(S3Client s3, S3Client stranger) {
    RequestBody body = RequestBody.fromBytes(SMALL);
    refused(
        404,
        "NoSuchKey",
        () -> s3.getObjectAsBytes(request -> request.bucket(BUCKET).key("missing")));
    refused(
        412,
        "PreconditionFailed",
        () -> s3.putObject(request -> request.bucket(BUCKET).key("big").ifNoneMatch("*"), body));
    refused(
        412,
        "PreconditionFailed",
        () -> s3.getObjectAsBytes(request -> request.bucket(BUCKET).key("big").ifMatch("\"0\"")));
    assertThat(
            catchThrowableOfType(
                    S3Exception.class,
                    () ->
                        s3.headObject(request ->
                            request.bucket(BUCKET).key("a/small").ifNoneMatch(SMALL_ETAG)))
                .statusCode())
        .isEqualTo(304);
    refused(
        403,
        "SignatureDoesNotMatch",
        () -> stranger.putObject(request -> request.bucket(BUCKET).key("c"), body));
    s3.putObject(request -> request.bucket(BUCKET).key("a/small").ifMatch(SMALL_ETAG), body);
  }

  private static void refused(int status, String code, ThrowingCallable call) {
    S3Exception refusal = catchThrowableOfType(S3Exception.class, call);
    assertThat(refusal).as(code).isNotNull();
    assertThat(refusal.statusCode()).isEqualTo(status);
    assertThat(refusal.awsErrorDetails().errorCode()).isEqualTo(code);
  }

  private void presigned() throws Exception {
    HttpClient.Builder browser = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1);
    if (trusted.isPresent()) {
      SSLContext context = SSLContext.getInstance("TLS");
      context.init(null, trusted.get(), null);
      browser.sslContext(context);
    }
    Duration valid = Duration.ofMinutes(5);
    try (S3Presigner presigner =
            S3Presigner.builder()
                .endpointOverride(endpoint)
                .region(Region.US_EAST_1)
                .credentialsProvider(keys(secret))
                .build();
        HttpClient client = browser.build()) {
      URI put =
          presigner
              .presignPutObject(asked ->
                  asked
                      .signatureDuration(valid)
                      .putObjectRequest(request -> request.bucket(BUCKET).key("presigned")))
              .url()
              .toURI();
      HttpResponse<Void> sent =
          client.send(
              HttpRequest.newBuilder(put)
                  .PUT(HttpRequest.BodyPublishers.ofByteArray(SMALL))
                  .build(),
              BodyHandlers.discarding());
      assertThat(sent.statusCode()).isEqualTo(200);
      URI get =
          presigner
              .presignGetObject(asked ->
                  asked
                      .signatureDuration(valid)
                      .getObjectRequest(request -> request.bucket(BUCKET).key("presigned")))
              .url()
              .toURI();
      HttpRequest asIs = HttpRequest.newBuilder(get).build();
      assertThat(client.send(asIs, BodyHandlers.ofByteArray()).body()).isEqualTo(SMALL);
      HttpRequest bent =
          HttpRequest.newBuilder(URI.create(get.toString().replace("/presigned?", "/a/small?")))
              .build();
      assertThat(client.send(bent, BodyHandlers.discarding()).statusCode()).isEqualTo(403);
    }
  }

  private static void assertSame(byte[] back, byte[] sent) {
    assertThat(Arrays.equals(back, sent)).as("%d bytes came back as sent", sent.length).isTrue();
  }

  private S3Client blocking(String secretKey, Optional<TrustManager[]> trust) {
    var builder = S3Client.builder();
    trust.ifPresent(managers ->
        builder.httpClientBuilder(
            Apache5HttpClient.builder().tlsTrustManagersProvider(() -> managers)));
    return located(builder, secretKey).build();
  }

  private S3AsyncClient inParts() {
    var builder = S3AsyncClient.builder().multipartEnabled(true);
    trusted.ifPresent(managers ->
        builder.httpClientBuilder(
            NettyNioAsyncHttpClient.builder().tlsTrustManagersProvider(() -> managers)));
    return located(builder, secret).build();
  }

  private <B extends S3BaseClientBuilder<B, C>, C> B located(B builder, String secretKey) {
    return builder
        .endpointOverride(endpoint)
        .region(Region.US_EAST_1)
        .credentialsProvider(keys(secretKey));
  }

  private StaticCredentialsProvider keys(String secretKey) {
    return StaticCredentialsProvider.create(AwsBasicCredentials.create(keyId, secretKey));
  }

  private static TrustManager[] trusting(Path certificate) throws Exception {
    KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType());
    store.load(null, null);
    try (InputStream pem = Files.newInputStream(certificate)) {
      store.setCertificateEntry(
          "forebay", CertificateFactory.getInstance("X.509").generateCertificate(pem));
    }
    TrustManagerFactory factory =
        TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
    factory.init(store);
    return factory.getTrustManagers();
  }
}
