"""Layers: stacks of recurrent layers, encoders, output heads, attention, decoders and beam search."""

from __future__ import annotations

from rekur.layers.conv_recurrent import ConvRecurrent, ConvRecurrentStack
from rekur.layers.crf import CRFHead
from rekur.layers.ctc import CTCHead, collapse_path
from rekur.layers.dropout import variational_dropout
from rekur.layers.encoders import FrameEncoder, NumberEncoder, TokenEncoder, WordEncoder
from rekur.layers.heads import LabelHead, QuantileHead, ValueHead
from rekur.layers.language_model import LanguageNet
from rekur.layers.seq2seq.attention import Attention
from rekur.layers.seq2seq.beam_search import beam_search
from rekur.layers.seq2seq.decoder import Decoder, DecoderOutput
from rekur.layers.seq2seq.net import Seq2Seq, coverage_loss
from rekur.layers.seq2seq.pointer_generator import Memory, PointerGenerator
from rekur.layers.speech.encoder import SpeechEncoder
from rekur.layers.stack import Direction, Stack

__all__ = [
    "Attention",
    "CRFHead",
    "CTCHead",
    "ConvRecurrent",
    "ConvRecurrentStack",
    "Decoder",
    "DecoderOutput",
    "Direction",
    "FrameEncoder",
    "LabelHead",
    "LanguageNet",
    "Memory",
    "NumberEncoder",
    "PointerGenerator",
    "QuantileHead",
    "Seq2Seq",
    "SpeechEncoder",
    "Stack",
    "TokenEncoder",
    "ValueHead",
    "WordEncoder",
    "beam_search",
    "collapse_path",
    "coverage_loss",
    "variational_dropout",
]
