"""Models and texts of three languages: help-desk replies that are kind or curt, made of sentences written by hand."""

import hashlib
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from engine.domain.language_tag import name_tag
from engine.domain.model import Pole
from engine.text.words import count_words

ENGLISH = (
    "Thank you for your patience, we have found the parcel and it leaves our warehouse this evening.",
    "Your request was closed because the form was not filled in, please read the rules on our page.",
)


MODEL = """
description: {description}
traits:
  - type: spectrum
    key: {trait}
    name: {trait_name}
    description: {description}
    positive_label: {labels[0]}
    negative_label: {labels[1]}
sources:
  - {{type: jsonl, path: samples.jsonl, mapping: {{{trait}: {{trait: {trait}}}}}}}
brief:
  intent: [Replies of a help desk are scored, and the worst of them are written again by a colleague.]
"""


@dataclass(frozen=True)
class Spoken:
    """What one language gives to a model and to the texts of its poles: ``seeds`` and ``sentences`` by pole.

    ``trait`` is the key of the model's one trait, ``labels`` are those of its poles; ``joint`` stands between two
    sentences.
    """

    tag: str
    trait: str
    trait_name: str
    description: str
    labels: tuple[str, str]
    seeds: Mapping[Pole, Sequence[str]]
    sentences: Mapping[Pole, Sequence[str]]
    joint: str = " "

    @property
    def name(self) -> str:
        """The language's English name."""
        return name_tag(self.tag)

    @property
    def model(self) -> str:
        """The definition, whose brief is in English."""
        return MODEL.format_map(vars(self))

    def write(self, pole: Pole, key: str, min_words: int, max_words: int) -> str:
        """Writes a text of a length in the range; another key, other sentences."""
        sentences = random.Random(key).sample(self.sentences[pole], len(self.sentences[pole]))
        text = sentences[0]
        for sentence in sentences[1:]:
            longer = f"{text}{self.joint}{sentence}"
            if count_words(text) >= min_words or count_words(longer) > max_words:
                break
            text = longer
        return text

    def stray(self, pole: Pole, key: str, text: str) -> str:
        """Spoils a text in one of four ways: it is in English, names its label, breaks off, or is one of the seeds."""
        ways = (
            random.Random(key).choice(ENGLISH),
            f"{self.labels[pole != 'positive']}: {text}",
            text[: 2 * len(text) // 3],
            random.Random(key).choice(self.seeds[pole]),
        )
        return ways[int.from_bytes(hashlib.sha256(key.encode()).digest()[:2], "big") % len(ways)]


GERMAN = Spoken(
    "de",
    "ton",
    "Freundlichkeit",
    "Ob Antworten des Kundendienstes den Menschen am anderen Ende freundlich behandeln.",
    ("Zugewandt", "Schroff"),
    {
        "positive": (
            "Schön, dass Sie fragen, ich schaue mir das gleich in Ruhe an.",
            "Das tut mir leid, und ich kümmere mich noch heute darum.",
            "Gern helfe ich Ihnen weiter, melden Sie sich einfach jederzeit.",
            "Danke für Ihre Geduld, gemeinsam finden wir bestimmt einen Weg.",
        ),
        "negative": (
            "Das steht alles in der Anleitung, lesen Sie die erst einmal.",
            "Dafür sind wir nicht zuständig, wenden Sie sich woanders hin.",
            "Ohne Beleg passiert hier gar nichts, das sollte Ihnen klar sein.",
            "Wer so spät bestellt, darf sich am Ende nicht beschweren.",
        ),
    },
    {
        "positive": (
            "Vielen Dank für Ihre Nachricht, über die wir uns wirklich gefreut haben.",
            "Ich verstehe gut, wie ärgerlich eine verspätete Lieferung für Sie ist.",
            "Ihr Paket habe ich soeben gefunden und schicke es morgen früh auf den Weg.",
            "Bitte entschuldigen Sie die Umstände, die Ihnen durch unseren Fehler entstanden sind.",
            "Selbstverständlich tauschen wir die Lampe kostenlos um, ganz ohne Formular.",
            "Wenn noch etwas unklar ist, rufen Sie mich bitte direkt unter meiner Nummer an.",
            "Es freut mich, dass die neue Kaffeemaschine bei Ihnen gut angekommen ist.",
            "Wir haben Ihnen zwei Gutscheine beigelegt, weil Sie so lange warten mussten.",
            "Nehmen Sie sich ruhig Zeit, die Frist verlängere ich gern um eine Woche.",
            "Damit Sie nicht suchen müssen, lege ich Ihnen die Rechnung noch einmal bei.",
            "Auf Ihren Besuch am Samstag freuen sich alle Kolleginnen in der Werkstatt.",
            "Sagen Sie mir einfach, welche Farbe Ihrer Tochter am besten gefällt.",
        ),
        "negative": (
            "Ihre Beschwerde ist unbegründet, deshalb wird der Vorgang geschlossen.",
            "Hätten Sie die Bedingungen gelesen, wüssten Sie das längst.",
            "Eine Rückgabe nach dreißig Tagen ist ausgeschlossen, da gibt es keine Ausnahme.",
            "Unvollständige Anträge landen bei uns ungelesen im Papierkorb.",
            "Rufen Sie nicht mehr an, das hält nur den Betrieb auf.",
            "Für Ihre Unachtsamkeit können wir nun wirklich nichts.",
            "Der Techniker kommt, wann er kommt, Wünsche nehmen wir nicht entgegen.",
            "Sie haben die falsche Nummer eingetippt, also tragen Sie auch die Kosten.",
            "Diese Frage wurde schon dreimal beantwortet, mehr sage ich dazu nicht.",
            "Mit solchen Kleinigkeiten beschäftigen wir uns hier grundsätzlich nicht.",
            "Zahlen Sie endlich, sonst geht die Sache am Montag an den Anwalt.",
            "Wenn es Ihnen nicht passt, kaufen Sie eben bei der Konkurrenz.",
        ),
    },
)

JAPANESE = Spoken(
    "ja",
    "tone",
    "思いやり",
    "お客様への返信がどれだけ思いやりのあるものか。",
    ("あたたかい", "つめたい"),
    {
        "positive": (
            "ご連絡をくださり、誠にありがとうございます。すぐにお調べします。",
            "ご不便をおかけして申し訳ございません。本日中に直します。",
            "どうぞご安心ください。私が最後までお手伝いいたします。",
            "お気づきの点を教えていただき、とても助かりました。",
        ),
        "negative": (
            "説明書に書いてあります。まずそれを読んでください。",
            "当社の責任ではありません。ほかで聞いてください。",
            "規則ですから無理です。何度言われても同じです。",
            "そんなことで電話をかけてこられても困ります。",
        ),
    },
    {
        "positive": (
            "このたびは長らくお待たせしてしまい、心よりおわび申し上げます。",
            "お荷物は先ほど見つかりましたので、明日の朝いちばんにお届けいたします。",
            "ご家族の皆様にも喜んでいただけたと伺い、社員一同うれしく思っております。",
            "傷のあったお皿は、送料もこちらで負担して新しいものとお取り替えします。",
            "わかりにくい画面でお困りだったことと存じます。",
            "もし手順の途中で迷われたら、夜でも遠慮なくお電話ください。",
            "ご予約の日をずらしたいとのこと、もちろん喜んで承ります。",
            "小さなお子様がいらっしゃると聞き、角の丸い部品を同封いたしました。",
            "貴重なご意見をもとに、来月から受付の時間を延ばすことにいたしました。",
            "雨の中をわざわざお越しいただき、本当に感謝しております。",
            "お体の具合が悪いときに手続きをお願いして、すみませんでした。",
            "次にお見えになる際は、窓ぎわの静かなお席をご用意してお待ちしております。",
        ),
        "negative": (
            "期限を過ぎているので、返金は一切いたしません。",
            "書類が足りないものは読まずに捨てています。",
            "壊したのはそちらでしょう、修理代は全額払ってもらいます。",
            "同じ質問には二度と答えませんから、過去のメールを探してください。",
            "待つのが嫌なら、別の店で買えばいいだけの話です。",
            "担当者は忙しいので、いつ連絡できるかはわかりません。",
            "文句を言う前に、自分の入力した番号を確かめるべきです。",
            "こちらの手間も考えずに変更を頼まないでほしいものです。",
            "配達が遅れたくらいで騒がれる理由が理解できません。",
            "料金を払わないのなら、来週すぐに契約を切ります。",
            "素人に仕組みを話しても時間の無駄になります。",
            "その程度の故障は気にせずに使うのが普通です。",
        ),
    },
    joint="",
)

HINDI = Spoken(
    "hi",
    "tone",
    "आत्मीयता",
    "ग्राहक सेवा के उत्तर पढ़ने वाले से कितनी आत्मीयता से बात करते हैं।",
    ("अपनापन", "रूखापन"),
    {
        "positive": (
            "आपने लिखा, इसके लिए दिल से धन्यवाद, मैं अभी देखता हूँ।",
            "आपको जो परेशानी हुई उसका हमें बहुत खेद है।",
            "चिंता मत कीजिए, हम मिलकर कोई रास्ता निकाल लेंगे।",
            "जब भी ज़रूरत हो, बेझिझक मुझे फ़ोन कर लीजिए।",
        ),
        "negative": (
            "सब कुछ पुस्तिका में लिखा है, पहले उसे पढ़ो।",
            "यह हमारा काम नहीं है, कहीं और जाकर पूछो।",
            "बिना रसीद के यहाँ कुछ नहीं होगा, बात समझ लो।",
            "इतनी छोटी बात के लिए हमारा समय बर्बाद मत करो।",
        ),
    },
    {
        "positive": (
            "आपका पार्सल हमें मिल गया है और कल सुबह आपके घर पहुँच जाएगा।",
            "देर से जवाब देने के लिए हम हाथ जोड़कर क्षमा माँगते हैं।",
            "टूटे हुए गिलास के बदले नया सेट बिना किसी शुल्क के भेज रहे हैं।",
            "सेटिंग बदलने में दिक्कत आए तो मैं फ़ोन पर एक-एक कदम बताऊँगी।",
            "आपकी बेटी को किताबें पसंद आईं, यह सुनकर पूरी टीम खुश हुई।",
            "बारिश में दुकान तक आने के लिए आपका बहुत-बहुत आभार।",
            "तारीख आगे बढ़ाना चाहें तो हम खुशी से बढ़ा देंगे।",
            "आपके सुझाव की वजह से अगले महीने से काउंटर शाम तक खुला रहेगा।",
            "बीमारी में आपको दौड़ना न पड़े, इसलिए कागज़ हम घर भिजवा देंगे।",
            "कृपया आराम से सोचिए, फ़ैसला करने की कोई जल्दी नहीं है।",
            "पुराने ग्राहक होने के नाते इस बार मरम्मत हमारी ओर से भेंट है।",
            "अगली बार आइए तो खिड़की के पास वाली मेज़ आपके लिए रखी रहेगी।",
        ),
        "negative": (
            "तीस दिन निकल चुके हैं, अब पैसे वापस माँगना बेकार है।",
            "अधूरे फ़ॉर्म हम बिना देखे कूड़ेदान में डाल देते हैं।",
            "गलती तुम्हारी है तो खर्चा भी तुम ही उठाओगे।",
            "यही सवाल तीन बार आ चुका है, चौथी बार उत्तर नहीं मिलेगा।",
            "मिस्त्री जब आएगा तब आएगा, बार-बार फ़ोन करना बंद करो।",
            "पसंद नहीं है तो किसी दूसरी कंपनी से ख़रीद लो।",
            "नंबर ग़लत लिखा था, इसमें हम क्या कर सकते हैं।",
            "बकाया सोमवार तक नहीं चुकाया तो कनेक्शन काट दिया जाएगा।",
            "तुम जैसे लोगों को समझाना हमारे बस की बात नहीं।",
            "थोड़ी देर हो गई तो आसमान नहीं टूट पड़ा।",
            "नियम सबके लिए हैं, रोने-धोने से कुछ नहीं बदलता।",
            "शिकायत रद्द की जाती है और फ़ाइल आज ही बंद होगी।",
        ),
    },
)

SPOKEN = {spoken.tag: spoken for spoken in (GERMAN, JAPANESE, HINDI)}
