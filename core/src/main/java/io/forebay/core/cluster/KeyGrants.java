package io.forebay.core.cluster;

import java.util.List;

/** All that a key pair may do. A key pair without such a record may do everything. */
public record KeyGrants(String accessKeyId, List<KeyGrant> grants) {
  public KeyGrants {
    grants = List.copyOf(grants);
  }
}
