package io.forebay.core.log;

import io.forebay.core.cluster.ClusterCommand;
import io.forebay.core.cluster.ClusterImage;
import io.forebay.core.cluster.ClusterResult;
import io.forebay.core.namespace.NamespaceAnswer;
import io.forebay.core.namespace.NamespaceCommand;
import io.forebay.core.namespace.NamespaceQuery;
import io.forebay.core.namespace.NamespaceResult;
import java.util.function.Consumer;

/** The control plane as every node uses it. Blocking; for all threads. */
public interface ControlPlane {
  /**
   * Logs a command of the cluster.
   *
   * @throws io.forebay.core.error.ForebayException UNAVAILABLE: the outcome is unknown
   */
  ClusterResult cluster(ClusterCommand command);

  /**
   * Logs a command of the cluster if this process's own voter leads, and through no other one: what
   * a leader thinks of is for its own term.
   *
   * @throws io.forebay.core.error.ForebayException NOT_LEADER; any other: the outcome is unknown
   */
  default ClusterResult clusterHere(ClusterCommand command) {
    return cluster(command);
  }

  /**
   * Logs a command of the namespace.
   *
   * @throws io.forebay.core.error.ForebayException UNAVAILABLE: the outcome is unknown
   */
  NamespaceResult namespace(NamespaceCommand command);

  /**
   * A linearizable read of the namespace.
   *
   * @throws io.forebay.core.error.ForebayException UNAVAILABLE
   */
  NamespaceAnswer query(NamespaceQuery query);

  /** The newest picture of the cluster that this node has. From memory. */
  ClusterImage image();

  /**
   * The picture as it is now: asks the leader. For what is absent in {@link #image}, which may have
   * come since.
   *
   * @throws io.forebay.core.error.ForebayException UNAVAILABLE
   */
  default ClusterImage newest() {
    return image();
  }

  /** Waits until the image has at least this version; returns whether it has. */
  boolean awaitVersion(long version, long timeoutNanos);

  /**
   * Calls back with each newer image, on the thread that brings it; must not block. Also with the
   * present one.
   */
  void onImage(Consumer<ClusterImage> listener);
}
