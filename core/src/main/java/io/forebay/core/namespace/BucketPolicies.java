package io.forebay.core.namespace;

import io.forebay.core.file.PrefixPolicy;
import io.forebay.core.id.BucketId;
import java.util.List;

/** The policies of a bucket, by prefix; none lies in another's prefix. */
public record BucketPolicies(BucketId bucket, List<PrefixPolicy> policies) {
  public BucketPolicies {
    policies = List.copyOf(policies);
  }
}
