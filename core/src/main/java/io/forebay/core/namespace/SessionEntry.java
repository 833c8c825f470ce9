package io.forebay.core.namespace;

import io.forebay.core.id.NodeId;
import io.forebay.core.id.SessionId;

/**
 * An open session.
 *
 * @param lowWater chunks below this sequence are named already or never will be (rule G4)
 * @param answeredBelow publishes below this sequence were answered; their results are forgotten
 */
public record SessionEntry(
    SessionId session, NodeId node, long openedMillis, long lowWater, long answeredBelow) {}
