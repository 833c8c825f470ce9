package io.forebay.node.life;

import io.forebay.core.cluster.ClusterImage;
import io.forebay.core.cluster.NodeRecord;
import io.forebay.core.cluster.NodeState;
import io.forebay.core.env.Env;
import io.forebay.core.error.ForebayException;
import io.forebay.core.id.NodeId;
import io.forebay.core.log.ControlPlane;
import io.forebay.core.namespace.NamespaceAnswer;
import io.forebay.core.namespace.NamespaceCommand;
import io.forebay.core.namespace.NamespaceQuery;
import io.forebay.core.namespace.SessionEntry;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Predicate;
import java.util.function.Supplier;

/**
 * Ends the sessions of nodes that are dead: they do not publish any more, and what they left
 * becomes garbage (rule G2). One that is out and still heard of does publish.
 *
 * <p>For the leader's loop, which is one thread. What was seen in an earlier term is forgotten: the
 * node may have been back since.
 */
final class SessionReaper {
  private static final long PATIENCE_NANOS = 10_000_000_000L;

  /**
   * A run of a node that is down.
   *
   * @param done whether its sessions were ended
   */
  private record Down(long registration, long sinceNanos, boolean done) {}

  private final Env env;
  private final ControlPlane plane;
  private final Map<NodeId, Down> down = new TreeMap<>();
  private long term = -1;

  SessionReaper(Env env, ControlPlane plane) {
    this.env = env;
    this.plane = plane;
  }

  /**
   * One look, every second or so.
   *
   * @param term in which this voter leads
   * @param images the newest image each time: sessions may take their time to be listed
   * @param heard of whom there is a lease, in the image or not
   * @throws ForebayException UNAVAILABLE; the next look tries again
   */
  void look(long term, Supplier<ClusterImage> images, Predicate<NodeRecord> heard) {
    ClusterImage image = images.get();
    if (this.term != term) {
      this.term = term;
      down.clear();
    }
    long now = env.nanoTime();
    for (NodeRecord node : image.nodes()) {
      if (node.state() != NodeState.DOWN || heard.test(node)) {
        down.remove(node.id());
        continue;
      }
      Down seen = down.get(node.id());
      if (seen == null || seen.registration() != node.registration()) {
        seen = new Down(node.registration(), now, false);
        down.put(node.id(), seen);
      }
      if (!seen.done()
          && now - seen.sinceNanos() >= PATIENCE_NANOS
          && endSessionsOf(node.id(), seen, images, heard)) {
        down.put(node.id(), new Down(seen.registration(), seen.sinceNanos(), true));
      }
    }
    // Who is forgotten before that time is not among the nodes any more.
    down.entrySet()
        .removeIf(each ->
            image.node(each.getKey()).isEmpty()
                && (each.getValue().done()
                    || endSessionsOf(each.getKey(), each.getValue(), images, heard)));
  }

  private boolean endSessionsOf(
      NodeId node, Down seen, Supplier<ClusterImage> images, Predicate<NodeRecord> heard) {
    if (plane.query(new NamespaceQuery.Sessions())
        instanceof NamespaceAnswer.OpenSessions(var sessions)) {
      boolean back =
          images
              .get()
              .node(node)
              .filter(now ->
                  now.state() != NodeState.DOWN
                      || now.registration() != seen.registration()
                      || heard.test(now))
              .isPresent();
      if (back) {
        return false; // it came back meanwhile, and may have opened one of these since
      }
      for (SessionEntry session : sessions) {
        if (session.node().equals(node)) {
          plane.namespace(new NamespaceCommand.CloseSession(session.session()));
        }
      }
      plane.namespace(new NamespaceCommand.FlushAbandon(node));
      return true;
    }
    return false;
  }
}
