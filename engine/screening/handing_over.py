"""Words with which an assistant hands over what it was asked to write, or speaks of itself, in fifteen languages."""

from collections.abc import Mapping

# Yes, of course, in eleven languages: an assistant says so before it does what it was asked for.
ASSENT = (
    r"(?:(?:sure(?: thing)?|certainly|of course|absolutely|okay|ok|great|yes|gerne?|natürlich|selbstverständlich|klar"
    r"|sicher|bien sûr|certainement|d['’]accord|voilà|claro(?: que sí)?|por supuesto|desde luego|certo|certamente|ecco"
    r"|claro que sim|natuurlijk|oczywiście|конечно|tabii(?: ki)?|good|好的|当然(?:可以)?|没问题|はい|もちろん(?:です)?"
    r"|承知しました|네|물론입니다|ज़रूर|بالتأكيد|بالطبع)\s*[,.!:;–—、。，！]*\s*)?"
)
UP_TO = r"(?:[\w'’-]+\s+){0,5}?"
# A word for the text itself, after "an example of a …". Only "text" and its like are never the matter of a text.
WRITING = r"(?:texts?|exemplars?|sentences?|paragraphs?|passages?)"
_MESSAGE = (
    r"(?:messages?|repl(?:y|ies)|responses?|answers?|e-?mails?|reviews?|comments?|posts?|notes?|letters?|titles?)"
)
_CLOSE = r"\s*(?:[:.!,]|$)"
_TAIL = (
    rf"(?:{_CLOSE}|\s+of\s+(?:an?\s+|the\s+|some\s+)?(?:[\w'’-]+\s+){{0,3}}?{WRITING}\b"
    rf"|\s+of\s+(?:an?|some)\s+(?:[\w'’-]+\s+){{1,3}}?{_MESSAGE}{_CLOSE}"
    r"|\s+(?:that|which)\s+(?:is|are|reads?|sounds?|meets?|fits?|match(?:es)?)\b|\s+as\s+requested|\s+of\s+what\s+you\b)"
)

# How an assistant hands over what it wrote. Each ends where the handing over does, or names a text: "Here is an example
# of how to rotate a key" hands over nothing.
HANDING_OVER: Mapping[str, str] = {
    "en": (
        rf"here(?:['’]s|\s+is|\s+are|\s+you\s+go)\W*\s(?:"
        rf"(?:an?|some|one|two|three|four|five|\d+)\s+{UP_TO}(?:texts?|exemplars?|rewrites?|paraphrases?)\b(?!\s+messages?)"
        rf"|(?:an?|some|one|two|three|four|five|\d+)\s+{UP_TO}(?:examples?|samples?|versions?){_TAIL}"
        rf"|(?:the|your)\s+{UP_TO}(?:texts?|examples?|exemplars?|rewrites?)\s*(?::|$|as\s+requested|you\s+(?:asked|requested))"
        rf"|(?:the|your)\s+(?:rewritten|revised|rephrased|improved|requested)\s+{UP_TO}\w+\s*:)"
    ),
    "de": (
        r"hier\s+(?:ist|sind|kommt|kommen|folgt|folgen|hast\s+du|haben\s+sie)\s+(?:[\w-]+\s+){0,5}?"
        r"(?:\w*beispiele?|\w*texte?|version(?:en)?|umformulierung(?:en)?)"
        r"(?:\s*(?:[:.!,]|$)|\s+(?:für|von|wie)\s+ein\w*\s+(?:[\w-]+\s+){0,3}?"
        r"\w*(?:text|satz|absatz|nachricht|antwort|mail|rezension|kommentar)\w*)"
    ),
    "fr": (
        r"voici\s+(?:[\w-]+['’]?\s*){0,6}?\b(?:exemples?|textes?|versions?|reformulations?)"
        r"(?:\s*(?:[:.!,]|$)|\s+(?:de\s+|d['’]\s*)(?:[\w'’-]+\s+){0,3}?"
        r"(?:textes?|phrases?|paragraphes?|messages?|réponses?|courriels?|avis|commentaires?)\b)"
    ),
    "es": (
        r"(?:aquí|a\s+continuación)\s+(?:(?:te|le|os|se)\s+)?(?:tienes?|está|están|va|van|hay|dejo|presento|muestro)\s+"
        r"(?:[\w-]+\s+){0,4}?(?:ejemplos?|textos?|versión|versiones)"
        r"(?:\s*(?:[:.!,]|$)|\s+de\s+(?:[\w-]+\s+){0,3}?(?:textos?|frases?|mensajes?|respuestas?|correos?|reseñas?)\b)"
    ),
    "it": (
        r"ecco(?:ti)?\s+(?:[\w-]+['’]?\s*){0,5}?\b(?:esemp\w+|test[oi]|version[ei]|riformulazion[ei])"
        r"(?:\s*(?:[:.!,]|$)|\s+di\s+(?:[\w'’-]+\s+){0,3}?(?:test[oi]|fras[ei]|messagg\w+|rispost[ae]|recension[ei])\b)"
    ),
    "pt": (
        r"(?:aqui\s+(?:está|estão|vai|vão|tem|fica)|segue|seguem|eis)\s+(?:[\w-]+\s+){0,4}?"
        r"(?:exemplos?|textos?|versão|versões)"
        r"(?:\s*(?:[:.!,]|$)|\s+de\s+(?:[\w-]+\s+){0,3}?(?:textos?|frases?|mensage\w+|respostas?|avaliaç\w+)\b)"
    ),
    "nl": (
        r"hier\s+(?:is|zijn|volgt|volgen|heb\s+je|vind\s+je)\s+(?:[\w-]+\s+){0,4}?(?:voorbeeld\w*|tekst\w*|versies?)"
        r"(?:\s*(?:[:.!,]|$)|\s+van\s+een\s+(?:[\w-]+\s+){0,3}?\w*(?:tekst|zin|bericht|antwoord|recensie)\b)"
    ),
    "pl": (
        r"oto\s+(?:[\w-]+\s+){0,3}?(?:przykład\w*|tekst\w*)"
        r"(?:\s*(?:[:.!,]|$)|\s+(?:[\w-]+\s+){0,3}?(?:tekstu|wiadomości))"
    ),
    "ru": (
        r"вот\s+(?:[\w-]+\s+){0,3}?(?:пример\w*|текст\w*)"
        r"(?:\s*(?:[:.!,—–-]|$)|\s+(?:[\w-]+\s+){0,3}?(?:текста|сообщения|ответа)\b)"
    ),
    "tr": r"işte\s+(?:[\w-]+\s+){0,4}?(?:örne(?:k|ği|kler)|metin|metni)\s*(?:[:.!,]|$)",
    "ja": (
        r"(?:以下|次|下記|こちら)[はがにの、](?:[^。！？\n]{0,20}?(?:文|文章|テキスト|メッセージ|返信|返答|レビュー|コメント|メール)の)?"
        r"(?:例文?|文例|サンプル|文章|テキスト)(?:です|になります|となります|を(?:示|紹介|挙げ|作成|用意|ご))"
    ),
    "zh": (
        r"(?:以下|下面|这里|這裡|这|這)(?:是|为|有|給出|给出)(?:[^。！？，,:：\n]{0,12}?(?:文本|文字|文章|消息|回复|回覆|评论|句子)的?)?"
        r"(?:一[个個段篇则則]|[几幾两兩][个個段]|[您你]要的)?(?:例子|示例|样例|範例|范例|例文|例句|文本)\s*(?:[:：。，,！!]|$)"
    ),
    "ko": r"(?:다음은|아래는|여기)\s+(?:\S+\s+){0,4}?(?:예시|예|예문|텍스트|글)(?:입니다|이에요|예요|가 있습니다)",
    "hi": r"(?:यहाँ|यहां|निम्नलिखित|नीचे)\s+(?:\S+\s+){0,5}?(?:उदाहरण|पाठ|टेक्स्ट)\s+(?:है|हैं|दिया|दिए)",
    "ar": (
        r"(?:إليك|اليك|فيما يلي)\s+(?:\S+\s+){0,3}?(?:مثال\w*|أمثلة|نص|نصوص)"
        r"(?:\s*(?:[:.،!]|$)|\s+(?:على|عن|ل)\s*(?:نص|رسالة|رد))"
    ),
}
# As an AI, as a language model: followed by what a role is followed by, since "as an AI researcher" is one too.
AS_AN_AI = (
    r"\bas\s+an?\s+(?:(?:ai|artificial\s+intelligence)(?:\s+(?:language\s+)?(?:model|assistant|chatbot|system))?"
    r"|(?:large\s+)?language\s+model|(?:virtual|helpful|digital)\s+assistant|assistant)(?=\s*[,.;:!)]|\s+(?:i|we)\b|$)"
    r"|\bals\s+(?:(?:eine?\s+)?(?:ki|künstliche\s+intelligenz)(?:-\w+)?|(?:ein\s+)?sprachmodell)(?=\s*[,.]|\s+\w+\s+ich\b)"
    r"|\ben\s+tant\s+qu(?:e\s+|['’]\s*)(?:(?:une?\s+)?(?:ia|intelligence\s+artificielle)|(?:un\s+)?modèle\s+de\s+langage)\b"
    r"|\bcomo\s+(?:una?\s+|uma?\s+)?(?:ia|inteligencia\s+artificial|inteligência\s+artificial|modelo\s+de\s+(?:lenguaje|linguagem))"
    r"(?=\s*,)"
    r"|\b(?:come|in\s+quanto)\s+(?:un['’]?\s*)?(?:ia|intelligenza\s+artificiale|modello\s+(?:linguistico|di\s+linguaggio))(?=\s*,)"
    r"|\bals\s+(?:een\s+)?(?:ai|taalmodel)(?=\s*,|\s+\w+\s+ik\b)|\bjako\s+(?:model\s+językowy|sztuczna\s+inteligencja)\b"
    r"|\b(?:как|будучи)\s+(?:ии|искусственный\s+интеллект|языков(?:ая|ой)\s+модель\w*)\b"
    r"|\b(?:yapay\s+zeka|dil\s+modeli)\s+olarak\b|作[为為]一?[个個]?(?:ai|人工智[能慧]|(?:大型)?[语語]言模型)"
    r"|(?:ai|人工知能|言語モデル)(?:アシスタント)?(?:として|ですので)|(?:ai|인공지능|언어\s?모델)(?:로서|으로서)"
    r"|(?:एआई|भाषा\s+मॉडल)\s+(?:मॉडल\s+)?के\s+रूप\s+में|(?:بصفتي|كوني)\s+(?:نموذج|ذكاء)"
)
