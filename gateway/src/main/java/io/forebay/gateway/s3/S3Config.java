package io.forebay.gateway.s3;

import io.forebay.core.file.BucketSpec;
import java.util.List;
import java.util.Optional;
import java.util.function.Function;

/**
 * What the S3 door is told.
 *
 * @param region that clients must sign for
 * @param domain under which buckets are host names ({@code BUCKET.DOMAIN}); empty: path style only
 * @param anonymous whether unsigned requests are taken, and then from loopback addresses only
 * @param cors which pages of other origins may use the door; none when empty
 * @param newBucket what a bucket created through this door is to be, by its name
 */
public record S3Config(
    String region,
    Optional<String> domain,
    boolean anonymous,
    List<CorsRule> cors,
    Function<String, BucketSpec> newBucket) {
  public static final String DEFAULT_REGION = "us-east-1";

  public S3Config {
    cors = List.copyOf(cors);
  }
}
