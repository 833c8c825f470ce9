package io.forebay.transport.tcp;

import io.forebay.transport.frame.WireVersions;
import java.util.Optional;

/**
 * How a {@link TcpNetwork} is set up.
 *
 * @param listen HOST:PORT to take connections on; port 0 lets the system choose; empty for a client
 * @param secret the cluster's secret: both ends of a connection prove that they know it
 * @param dataConnections to each peer, for calls that carry or fetch payloads, 1–16
 * @param uploadConnections to each peer, for chunks, 1–16
 * @param windowSlices how many slices of one upload may be under way to this node, 1–1,024
 * @param uploadSlabs buffers for slices that arrive, at least 3 windows
 * @param callSlabs buffers for payloads of calls and replies that arrive
 * @param slabBytes size of a buffer, at least that of the largest payload
 * @param eventLoops threads that move bytes, at least 1
 * @param versions of the wire format that are spoken
 */
public record TcpSettings(
    Optional<String> listen,
    byte[] secret,
    int dataConnections,
    int uploadConnections,
    int windowSlices,
    int uploadSlabs,
    int callSlabs,
    int slabBytes,
    int eventLoops,
    WireVersions versions) {
  public TcpSettings {
    secret = secret.clone();
    requireRange("dataConnections", dataConnections, 1, 16);
    requireRange("uploadConnections", uploadConnections, 1, 16);
    requireRange("windowSlices", windowSlices, 1, 1024);
    requireRange("uploadSlabs", uploadSlabs, 3 * windowSlices, 1 << 20);
    requireRange("callSlabs", callSlabs, 1, 1 << 20);
    requireRange("slabBytes", slabBytes, 4096, 1 << 20);
    requireRange("eventLoops", eventLoops, 1, 256);
  }

  /**
   * What suits most nodes: windows of 4 slices (4 MiB; with longer ones few chunks at once have
   * buffers here, and NICs wait: docs/benchmarks.md), up to 256 MiB for chunks and 128 MiB for
   * calls, taken from the machine as they are needed.
   */
  public static TcpSettings defaults(Optional<String> listen, byte[] secret) {
    int loops = Math.clamp(Runtime.getRuntime().availableProcessors(), 1, 8);
    return new TcpSettings(listen, secret, 2, 2, 4, 256, 128, 1 << 20, loops, WireVersions.OURS);
  }

  /** The same with other numbers of buffers. */
  public TcpSettings withSlabs(int forUploads, int forCalls) {
    return new TcpSettings(
        listen,
        secret,
        dataConnections,
        uploadConnections,
        windowSlices,
        forUploads,
        forCalls,
        slabBytes,
        eventLoops,
        versions);
  }

  /** The same, as another version of this program would speak. */
  public TcpSettings withVersions(WireVersions spoken) {
    return new TcpSettings(
        listen,
        secret,
        dataConnections,
        uploadConnections,
        windowSlices,
        uploadSlabs,
        callSlabs,
        slabBytes,
        eventLoops,
        spoken);
  }

  private static void requireRange(String name, int value, int least, int most) {
    if (value < least || value > most) {
      throw new IllegalArgumentException(
          name + " must lie within " + least + " and " + most + ": " + value);
    }
  }
}
