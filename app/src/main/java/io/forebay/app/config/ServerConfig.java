package io.forebay.app.config;

import io.forebay.core.cluster.KeyGrant;
import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.id.NodeId;
import io.forebay.core.lease.LeaseSettings;
import io.forebay.gateway.s3.CorsRule;
import io.forebay.node.replica.CapacitySettings;
import io.forebay.node.resync.Scrubber;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.SortedMap;

/**
 * All settings of one server process. Defaults stand in {@link ConfigReader}, once.
 *
 * @param node this node's name
 * @param domain failure domain
 * @param secret the cluster's shared secret: peers and the command line prove that they know it
 * @param listen HOST:PORT of the transport
 * @param voters the nodes that run the control plane: 1, 3 or 5
 * @param data one directory per disk
 * @param meta directory of the control plane's log and namespace
 * @param s3 the S3 door; empty: none
 * @param adminListen HOST:PORT of metrics and health; empty: none
 * @param s3Keys key pairs to add at the start
 * @param s3Cors which pages of other origins may use the S3 door
 * @param store default store of new buckets, as a URL; empty: cache-only
 * @param capacityBytes per data directory; 0: a share of the file system
 * @param reserveBytes room that chunks leave free on their file systems; empty: the default
 * @param segmentBytes size of a segment file
 * @param memoryBytes buffers outside the heap, in all; 0: the default
 * @param memoryTierBytes what is kept in memory, beside them, of what is read often; empty: the
 *     default
 * @param replicas default of new buckets; 0: 1 on a cluster of one, else 2
 * @param graceMillis how long a lost volume is waited for before it is replaced
 * @param capacity when room is made on full disks, and how long writers wait for it
 * @param scrub how disks are looked through for damage
 * @param leases whether keys are answered from memory
 * @param balances whether groups move from full disks to empty ones while this node leads
 */
public record ServerConfig(
    NodeId node,
    String domain,
    String secret,
    String listen,
    SortedMap<String, Voter> voters,
    List<Path> data,
    Path meta,
    Optional<S3DoorConfig> s3,
    Optional<String> adminListen,
    List<AccessKeyPair> s3Keys,
    List<CorsRule> s3Cors,
    Optional<String> store,
    long capacityBytes,
    OptionalLong reserveBytes,
    long segmentBytes,
    long memoryBytes,
    OptionalLong memoryTierBytes,
    int replicas,
    long graceMillis,
    long flushDelayMillis,
    CapacitySettings capacity,
    Scrubber.Settings scrub,
    LeaseSettings leases,
    boolean balances) {
  /** Of each disk 32 MiB a second, and each disk once a day. */
  public static final Scrubber.Settings DEFAULT_SCRUB =
      new Scrubber.Settings(32L << 20, 86_400_000_000_000L);

  private static final long LEAST_SEGMENT_BYTES = 32L << 20;
  private static final long MOST_SEGMENT_BYTES = 1L << 30;
  private static final long SEGMENT_STEP_BYTES = 4L << 20;

  public ServerConfig {
    data = List.copyOf(data);
    s3Keys = List.copyOf(s3Keys);
    s3Cors = List.copyOf(s3Cors);
  }

  /**
   * Where a voter is reached.
   *
   * @param address HOST:PORT of its transport
   * @param consensus HOST:PORT of its consensus library, between voters only
   */
  public record Voter(String address, String consensus) {}

  /**
   * A key pair for the S3 door.
   *
   * @param grants what it may do; empty: everything
   */
  public record AccessKeyPair(String id, String secret, List<KeyGrant> grants) {
    public AccessKeyPair {
      grants = List.copyOf(grants);
    }

    @Override
    public String toString() {
      return "AccessKeyPair[" + id + "]";
    }
  }

  /**
   * Parses the size of a segment file.
   *
   * @param what the setting's name, for the message
   * @throws ForebayException CONFIGURATION naming the setting, what was written, and what would be
   *     right
   */
  public static long parseSegment(String what, String text) {
    long bytes = Size.parse(what, text);
    if (bytes < LEAST_SEGMENT_BYTES
        || bytes > MOST_SEGMENT_BYTES
        || bytes % SEGMENT_STEP_BYTES != 0) {
      throw new ForebayException(
          ErrorCode.CONFIGURATION,
          what + ": must be a multiple of 4MiB from 32MiB to 1GiB, and is '" + text + "'");
    }
    return bytes;
  }

  /** Whether this node runs the control plane. */
  public boolean voter() {
    return voters.containsKey(node.name());
  }

  @Override
  public String toString() {
    return "ServerConfig[" + node + "]";
  }
}
