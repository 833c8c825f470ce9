package io.forebay.transport.tcp;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.forebay.core.error.ErrorCode;
import io.forebay.core.error.ForebayException;
import io.forebay.core.id.NodeId;
import io.forebay.transport.frame.FrameBody.Hello;
import io.forebay.transport.frame.WireVersions;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.util.Optional;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;
import org.jspecify.annotations.Nullable;

/**
 * The three HELLOs that open a connection, without I/O: each end proves by HMAC-SHA256 that it
 * knows the cluster's secret, over both ends' names and fresh nonces and under a label of its own
 * (so that an answer cannot be reflected).
 *
 * <pre>
 *   dialling end                      accepting end
 *   1: names, nonce A          →
 *                              ←      2: names, nonce B, HMAC("acceptor", 1, 2 without proof)
 *   3: HMAC("dialer", 1, 2 without proof)  →
 * </pre>
 */
public final class Handshake {
  private static final byte[] NOTHING = new byte[Hello.SECRET_BYTES];

  /**
   * Who is at the other end.
   *
   * @param version that both ends speak from now on
   */
  public record Peer(NodeId node, boolean client, int version) {}

  /** What to do after a HELLO was taken. */
  public record Step(Optional<Hello> answer, Optional<Peer> done) {}

  private final byte[] secret;
  private final Hello mine;
  private final Optional<NodeId> expected;
  private final boolean dialing;
  private @Nullable Hello first;
  private @Nullable Hello second;

  /**
   * @param versions that this end speaks
   * @param expected whom the dialling end wants to reach; empty takes anybody of the cluster
   * @param nonce 32 random bytes
   */
  public Handshake(
      boolean dialing,
      WireVersions versions,
      byte[] secret,
      String clusterId,
      NodeId self,
      boolean client,
      Optional<NodeId> expected,
      byte[] nonce) {
    this.dialing = dialing;
    this.secret = secret;
    this.expected = expected;
    this.mine =
        new Hello(
            dialing ? 1 : 2,
            versions,
            client ? Hello.CLIENT : 0,
            nonce,
            NOTHING,
            clusterId,
            self.name());
  }

  /** The first HELLO, from the dialling end. */
  public Hello open() {
    first = mine;
    return mine;
  }

  /**
   * Takes the peer's HELLO.
   *
   * @throws ForebayException UNAUTHENTICATED, WRONG_CLUSTER, WRONG_VERSION, CORRUPT, or
   *     PEER_UNREACHABLE when another node answers than the one that was dialled
   */
  public Step receive(Hello hello) {
    if (!dialing && hello.step() == 1 && first == null) {
      requireSameCluster(hello);
      agreed(hello);
      first = hello;
      second = mine;
      return new Step(Optional.of(withProof(mine, proof("forebay acceptor"))), Optional.empty());
    }
    if (dialing && hello.step() == 2 && second == null) {
      requireSameCluster(hello);
      second = withProof(hello, NOTHING);
      requireProof(hello, "forebay acceptor");
      Peer peer = peer(hello);
      if (expected.isPresent() && !expected.get().equals(peer.node())) {
        throw new ForebayException(
            ErrorCode.PEER_UNREACHABLE,
            "dialled node " + expected.get() + ", but node " + peer.node() + " answers there");
      }
      Hello third =
          new Hello(
              3,
              mine.versions(),
              0,
              NOTHING,
              proof("forebay dialer"),
              mine.clusterId(),
              mine.node());
      return new Step(Optional.of(third), Optional.of(peer));
    }
    if (!dialing && hello.step() == 3 && first != null) {
      requireProof(hello, "forebay dialer");
      return new Step(Optional.empty(), Optional.of(peer(first)));
    }
    throw new ForebayException(ErrorCode.CORRUPT, "HELLO " + hello.step() + " out of turn");
  }

  private void requireSameCluster(Hello hello) {
    String theirs = hello.clusterId();
    String ours = mine.clusterId();
    if (!theirs.isEmpty() && !ours.isEmpty() && !theirs.equals(ours)) {
      throw new ForebayException(
          ErrorCode.WRONG_CLUSTER,
          "node "
              + mine.node()
              + " belongs to cluster '"
              + ours
              + "', its peer "
              + printable(hello.node())
              + " to '"
              + printable(theirs)
              + "'");
    }
  }

  private void requireProof(Hello hello, String label) {
    if (!MessageDigest.isEqual(hello.proof(), proof(label))) {
      throw new ForebayException(
          ErrorCode.UNAUTHENTICATED,
          "node "
              + mine.node()
              + " and its peer "
              + printable(hello.node())
              + " have different cluster secrets; all nodes of a cluster share one");
    }
  }

  private int agreed(Hello hello) {
    return mine.versions().agree(hello.versions(), "node " + printable(hello.node()));
  }

  private Peer peer(Hello hello) {
    int version = agreed(hello);
    try {
      return new Peer(
          new NodeId(hello.node()), (hello.capabilities() & Hello.CLIENT) != 0, version);
    } catch (IllegalArgumentException impossible) {
      throw new ForebayException(
          ErrorCode.CORRUPT, "the peer's name is none: '" + printable(hello.node()) + "'");
    }
  }

  private static Hello withProof(Hello hello, byte[] proof) {
    return new Hello(
        hello.step(),
        hello.versions(),
        hello.capabilities(),
        hello.nonce(),
        proof,
        hello.clusterId(),
        hello.node());
  }

  private byte[] proof(String label) {
    if (first == null || second == null) {
      throw new IllegalStateException("the nonces are not known yet");
    }
    try {
      Mac mac = Mac.getInstance("HmacSHA256");
      // An empty key is refused by the JDK; the zero byte pads to the same HMAC key block.
      mac.init(new SecretKeySpec(secret.length == 0 ? new byte[1] : secret, "HmacSHA256"));
      mac.update(label.getBytes(UTF_8));
      mac.update(first.encode());
      mac.update(second.encode());
      return mac.doFinal();
    } catch (GeneralSecurityException missing) {
      throw new IllegalStateException("the JDK has no HMAC-SHA256", missing);
    }
  }

  /** What an unknown peer sent, fit for a log. */
  static String printable(String text) {
    String shortened = text.length() <= 200 ? text : text.substring(0, 200) + "…";
    return shortened.replaceAll("[^\\x20-\\x7E…]", "?");
  }
}
