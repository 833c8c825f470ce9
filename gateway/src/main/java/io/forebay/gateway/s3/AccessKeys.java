package io.forebay.gateway.s3;

import io.forebay.core.cluster.AccessKey;
import java.util.Optional;

/** Where the door finds key pairs. Called once for each signed request; must not block for long. */
public interface AccessKeys {
  /** The key pair of that id. */
  Optional<AccessKey> find(String accessKeyId);
}
