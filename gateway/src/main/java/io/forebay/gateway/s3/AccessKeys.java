package io.forebay.gateway.s3;

import io.forebay.core.cluster.AccessKey;
import io.forebay.core.cluster.KeyGrant;
import java.util.List;
import java.util.Optional;

/** Where the door finds key pairs. Called once for each signed request; must not block for long. */
public interface AccessKeys {
  /** The key pair of that id. */
  Optional<AccessKey> find(String accessKeyId);

  /** What that key pair may do; empty: everything. */
  default Optional<List<KeyGrant>> grants(String accessKeyId) {
    return Optional.empty();
  }
}
